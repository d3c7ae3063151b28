# Everything a newcomer needs is `make run` and `make test`; both want only Go (a test that wants more says so and is skipped).
export GOTOOLCHAIN = local

.PHONY: run test check vuln bench build fuzz chaos mutants image-files release release-check

run: ## the server on its embedded pair
	go build -o mirrorstate ./cmd/mirrorstate
	@exec ./mirrorstate serve

build: ## ./mirrorstate
	go build -o mirrorstate ./cmd/mirrorstate

image-files: ## _image/, of which the Dockerfile makes an image: a static binary, and this machine's certificate authorities
	rm -rf _image
	mkdir -p _image/root/tmp _image/root/etc/ssl/certs _image/state/mirrorstate
	chmod 1777 _image/root/tmp
	chmod 700 _image/state/mirrorstate
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o _image/root/mirrorstate ./cmd/mirrorstate
	cp /etc/ssl/certs/ca-certificates.crt _image/root/etc/ssl/certs/ || echo 'no certificate authorities here: servers need ca_file then'

# VERSION, such as v1.2.3, makes sure that the commit has that tag.
release: release-check ## _release/: archives for six platforms, Debian packages, lists of what is linked, checksums; of the commit
	cd deploy/release && go run . -out ../../_release -version '$(VERSION)'

release-check: ## what makes the release; a module of its own, so that nobody else needs its dependencies, nor its newer Go
	cd deploy/release && go vet ./... && go test ./...

test: ## all tests, with the race detector; one package at a time, for some have timeouts to meet
	go build -race ./...
	go test -race -shuffle=on -p 1 -timeout 30m ./...

check: ## what must hold of the text itself
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go mod tidy -diff
	GOOS=windows go build -o /dev/null ./cmd/mirrorstate
	@go run ./cmd/licensecheck >/dev/null

vuln: ## known weaknesses of what we depend on, as far as we call it; asks vuln.go.dev
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

bench: ## every benchmark, numbers only
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## a minute for each parser of foreign bytes
	@set -e; for pkg in $$(grep -rl --include='*_test.go' 'func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho 'func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | sed 's/func //'); do \
			go test -run '^$$' -fuzz "^$$f\$$" -fuzztime 60s -fuzzminimizetime 10x $$pkg; done; done

# A seed of 0 takes one at random and says which; what broke is kept under _artifacts.
SEED ?= 0
FOR ?= 5m
PROXIES ?= 3
CLIENTS ?= 12
WITNESS ?= true
FAILOVERS ?= 1000000
REQUESTS ?= 0
RUDE ?= true
RELAY ?= true
NET ?= true
chaos: ## faults and failovers under load, the history checked: make chaos SEED=7 FOR=10m, or FOR=12h FAILOVERS=500 REQUESTS=500000
	go test -race -count=1 -v -timeout 0 -run '^TestChaos$$' -artifacts ./cmd/mirrorstate/chaos \
		-seed $(SEED) -chaos.duration $(FOR) -chaos.failovers $(FAILOVERS) -chaos.proxies $(PROXIES) -chaos.clients $(CLIENTS) \
		-chaos.witness=$(WITNESS) -chaos.requests $(REQUESTS) -chaos.rude=$(RUDE) -chaos.relay=$(RELAY) -chaos.net=$(NET)

# ONLY picks mutants by invariant, name and, of T-SQL, procedure.
ONLY ?= .
mutants: ## every invariant broken on purpose, each break must turn a test red: make mutants ONLY='^I3 '
	go test -count=1 -v -timeout 90m -run '^TestMutants' ./cmd/mirrorstate/mutants -mutants -mutants.only '$(ONLY)'
