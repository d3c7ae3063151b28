package main

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

var committed = time.Date(2026, 11, 30, 20, 14, 17, 0, time.UTC)

func TestDebianVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3":                             "1.2.3",
		"v1.2.3-rc.1":                        "1.2.3~rc.1",
		"v0.0.0-20261130201417-72bb1e0c1a2b": "0.0.0~20261130201417.72bb1e0c1a2b",
		"v1.2.4-0.20261130201417-72bb1e0c1a": "1.2.4~0.20261130201417.72bb1e0c1a",
	} {
		if got := debianVersion(version); got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
}

// Archives with the same contents have the same bytes.
func TestArchives_Reproducible(t *testing.T) {
	list := []entry{{"mirrorstate_1.2.3_linux_amd64/mirrorstate", 0o755, []byte("program")}, {"mirrorstate_1.2.3_linux_amd64/LICENSE", 0o644, []byte("licence")}}
	for name, write := range map[string]func(string, []entry, time.Time) error{"x.tar.gz": writeTarGz, "x.zip": writeZip} {
		var sums [2][sha256.Size]byte
		for i := range sums {
			file := filepath.Join(t.TempDir(), name)
			if err := write(file, list, committed.In(time.FixedZone("", i*3600))); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sums[i] = sha256.Sum256(text)
		}
		if sums[0] != sums[1] {
			t.Errorf("two builds of %s differ", name)
		}
	}
}

func TestWriteSums(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b": "", "a": "abc"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(dir); err != nil {
		t.Fatal(err)
	}
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
	if got, err := os.ReadFile(filepath.Join(dir, sumsFile)); string(got) != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestLicences(t *testing.T) {
	got := licences("BSD-3-Clause                 linked           github.com/microsoft/go-mssqldb v1.11.2\n" +
		"MIT and Apache-2.0           tests and tools  go.yaml.in/yaml/v3 v3.0.4\n")
	if len(got) != 2 || got["github.com/microsoft/go-mssqldb"] != "BSD-3-Clause" || got["go.yaml.in/yaml/v3"] != "MIT and Apache-2.0" {
		t.Errorf("got %v", got)
	}
}

func TestList(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "github.com/mirrorstate/mirrorstate", Version: "v1.2.3"},
		Deps: []*debug.Module{{Path: "github.com/Old/Thing", Version: "v2.0.0+incompatible", Sum: "h1:x="}},
	}
	b := &bundle{time: committed, licence: map[string]string{"github.com/Old/Thing": "MIT and Apache-2.0"}}
	bom, err := b.list(info, sha256.Sum256([]byte("program")))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(bom.SerialNumber) {
		t.Errorf("serial number %s", bom.SerialNumber)
	}
	text, err := json.Marshal(bom)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"timestamp":"2026-11-30T20:14:17Z"`, `"purl":"pkg:golang/std@1.26.8"`, `"purl":"pkg:golang/github.com/old/thing@v2.0.0%2Bincompatible"`,
		`"licenses":[{"expression":"MIT AND Apache-2.0"}]`, `"licenses":[{"license":{"id":"Apache-2.0"}}]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s in %s", want, text)
		}
	}
	delete(b.licence, "github.com/Old/Thing")
	if _, err := b.list(info, sha256.Sum256(nil)); err == nil || !strings.Contains(err.Error(), "no licence for github.com/Old/Thing") {
		t.Errorf("a module without a licence: %v", err)
	}
}

// The package for Debian has its files, and a second build has the same bytes.
func TestWriteDeb(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mirrorstate")
	if err := os.WriteFile(program, []byte("program"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bundle{
		version: "v1.2.3", time: committed, source: &source{filepath.Join("..", "..")}, notices: []byte("notices"),
		scripts: map[string][]byte{"bash": []byte("bash"), "zsh": []byte("zsh"), "fish": []byte("fish")},
		pages:   []entry{{"man1/mirrorstate.1", 0o644, []byte(".TH X 1")}},
	}
	list, err := b.installed(t.TempDir(), program)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, c := range list {
		there[c.Destination] = true
	}
	for _, want := range []string{
		"/usr/bin/mirrorstate", "/etc/mirrorstate/mirrorstate.yaml", "/usr/lib/systemd/system/mirrorstate.service", "/usr/lib/sysusers.d/mirrorstate.conf",
		"/usr/share/man/man1/mirrorstate.1.gz", "/usr/share/bash-completion/completions/mirrorstate", "/usr/share/doc/mirrorstate/copyright",
	} {
		if !there[want] {
			t.Errorf("%s is not installed", want)
		}
	}
	var packages [2]string
	for i := range packages {
		file := filepath.Join(t.TempDir(), "mirrorstate.deb")
		if err := b.writeDeb(file, platform{"linux", "amd64"}, program); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		packages[i] = string(text)
	}
	if packages[0] != packages[1] || !strings.HasPrefix(packages[0], "!<arch>\n") {
		t.Error("two builds of the package differ, or it is not a Debian package")
	}
}

// The unit of the package starts the program at its installed path.
func TestPackagedUnit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "systemd", "mirrorstate.service"))
	if err != nil {
		t.Fatal(err)
	}
	got := packagedUnit(string(text))
	if !strings.HasPrefix(got, "[Unit]\n") || !strings.Contains(got, "\nExecStart=/usr/bin/mirrorstate serve ") || strings.Contains(got, "/usr/local") {
		t.Errorf("got\n%s", got)
	}
}
