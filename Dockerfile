# The program alone, from scratch, as a user that owns only its data folder. First run `make image-files`, which puts a
# statically linked binary into _image/. Then:
#   docker build -t mirrorstate .        or   buildah build --format docker -t mirrorstate .
# (Only Docker has HEALTHCHECK. An image in OCI's format has none; see docs/sql-server.md for Kubernetes.)
FROM scratch
COPY _image/root/ /
COPY --chown=65532:65532 _image/state/ /var/lib/
USER 65532:65532
ENV XDG_STATE_HOME=/var/lib
WORKDIR /var/lib/mirrorstate
VOLUME /var/lib/mirrorstate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/mirrorstate", "ready"]
ENTRYPOINT ["/mirrorstate"]
CMD ["serve", "--data", "/var/lib/mirrorstate"]
