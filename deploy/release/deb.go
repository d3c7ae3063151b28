package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

// prerelease matches a version before a release: v1.2.3-rc.1, or a commit between two releases.
var prerelease = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)-(.+)$`)

// debianVersion returns a version in Debian's form, in which ~ sorts before the release: 1.2.3~rc.1.
func debianVersion(version string) string {
	if m := prerelease.FindStringSubmatch(version); m != nil {
		return m[1] + "~" + strings.ReplaceAll(m[2], "-", ".")
	}
	return strings.TrimPrefix(version, "v")
}

// writeDeb writes the package for Debian and the systems derived from it.
func (b *bundle) writeDeb(file string, p platform, program string) error {
	stage, err := os.MkdirTemp("", "mirrorstate-deb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	contents, err := b.installed(stage, program)
	if err != nil {
		return err
	}
	debian := filepath.Join(b.source.dir, "deploy", "debian")
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "mirrorstate", Arch: p.processor, Platform: "linux",
		Version: debianVersion(b.version), VersionSchema: "none",
		Section: "net", Priority: "optional", License: "Apache-2.0",
		Maintainer:  "The mirrorstate developers <mirrorstate@users.noreply.github.com>",
		Homepage:    "https://github.com/mirrorstate/mirrorstate",
		Description: description,
		MTime:       b.time, DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Depends: []string{"passwd"}, Recommends: []string{"ca-certificates"}, Contents: contents,
			Scripts: nfpm.Scripts{
				PostInstall: filepath.Join(debian, "postinst"),
				PreRemove:   filepath.Join(debian, "prerm"),
				PostRemove:  filepath.Join(debian, "postrm"),
			},
		},
	})
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := deb.Default.Package(info, &out); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// description is the description of the package: a summary line and a text.
const description = `session-state server that follows a pair of SQL Servers
mirrorstate keeps the sessions of web applications in the ASP.NET ASPState
tables on a mirrored pair of SQL Servers, or in an availability group, and
serves them over HTTP. Requests that arrive during a failover wait, and do
not fail.`

// installed returns the files of the package. It first writes generated files into the folder stage.
func (b *bundle) installed(stage, program string) (files.Contents, error) {
	made, err := b.installedTexts()
	if err != nil {
		return nil, err
	}
	list := files.Contents{
		b.content(program, "/usr/bin/mirrorstate", "", 0o755),
		{Destination: "/etc/mirrorstate", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o755, MTime: b.time}},
		b.content(filepath.Join(b.source.dir, "deploy", "mirrorstate.yaml"), "/etc/mirrorstate/mirrorstate.yaml", files.TypeConfig, 0o640),
	}
	for _, destination := range sortedKeys(made) {
		file := filepath.Join(stage, strings.ReplaceAll(destination, "/", "_"))
		if err := os.WriteFile(file, []byte(made[destination]), 0o600); err != nil {
			return nil, err
		}
		list = append(list, b.content(file, destination, "", 0o644))
	}
	return list, nil
}

// content returns a file of the package, owned by root.
func (b *bundle) content(file, destination, kind string, mode os.FileMode) *files.Content {
	return &files.Content{Source: file, Destination: destination, Type: kind, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: b.time}}
}

// installedTexts returns the generated texts of the package, by their installed paths.
func (b *bundle) installedTexts() (map[string]string, error) {
	const (
		doc  = "/usr/share/doc/mirrorstate/"
		unit = "/usr/lib/systemd/system/mirrorstate.service"
	)
	texts := map[string]string{
		"/usr/share/bash-completion/completions/mirrorstate":    string(b.scripts["bash"]),
		"/usr/share/zsh/vendor-completions/_mirrorstate":        string(b.scripts["zsh"]),
		"/usr/share/fish/vendor_completions.d/mirrorstate.fish": string(b.scripts["fish"]),
		doc + "NOTICES": string(b.notices),
	}
	for destination, name := range map[string]string{
		doc + "copyright":                      "LICENSE",
		doc + "README.md":                      "README.md",
		doc + "CHANGELOG.md":                   "CHANGELOG.md",
		"/usr/lib/sysusers.d/mirrorstate.conf": "deploy/debian/sysusers.conf",
		unit:                                   "deploy/systemd/mirrorstate.service",
	} {
		text, err := b.file(name)
		if err != nil {
			return nil, err
		}
		texts[destination] = string(text)
	}
	texts[unit] = packagedUnit(texts[unit])
	for _, page := range b.pages {
		text, err := gzipped(page.content)
		if err != nil {
			return nil, err
		}
		texts["/usr/share/man/"+page.name+".gz"] = string(text)
	}
	return texts, nil
}

// packagedUnit returns the systemd unit for the package: the program is in /usr/bin, and the introduction about a
// manual installation is removed.
func packagedUnit(unit string) string {
	if i := strings.Index(unit, "[Unit]"); i > 0 {
		unit = unit[i:]
	}
	return strings.ReplaceAll(unit, "/usr/local/bin/", "/usr/bin/")
}
