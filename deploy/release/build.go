package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// source is a clone of the commit that is released.
type source struct{ dir string }

// checkout clones the repository into the new folder dir, with the tags, and checks out the same commit there.
func checkout(ctx context.Context, repository, dir string) (*source, error) {
	commit, err := output(ctx, repository, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return nil, err
	}
	root, err := output(ctx, repository, nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	if _, err := output(ctx, "", nil, "git", "clone", "--quiet", "--no-checkout", strings.TrimSpace(string(root)), dir); err != nil {
		return nil, err
	}
	_, err = output(ctx, dir, nil, "git", "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", strings.TrimSpace(string(commit)))
	return &source{dir}, err
}

// build builds the program for every platform in folders below work, and returns the paths.
func (s *source) build(ctx context.Context, work string) (map[platform]string, error) {
	programs := map[platform]string{}
	for _, p := range platforms {
		program := filepath.Join(work, p.String(), "mirrorstate")
		if p.system == "windows" {
			program += ".exe"
		}
		env := []string{
			"CGO_ENABLED=0", "GOOS=" + p.system, "GOARCH=" + p.processor,
			"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off",
		}
		fmt.Fprintln(os.Stderr, "building for", p)
		_, err := output(ctx, s.dir, env, "go", "build", "-buildvcs=true", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/mirrorstate")
		if err != nil {
			return nil, err
		}
		programs[p] = program
	}
	return programs, nil
}

// bundle holds the contents that the files of all platforms share.
type bundle struct {
	version string            // v1.2.3 or a pseudo-version, from the go command
	time    time.Time         // of the commit
	pages   []entry           // manual pages, as man1/mirrorstate.1
	scripts map[string][]byte // completion scripts by shell
	licence map[string]string // by the module's path
	notices []byte            // the licence texts of the linked modules
	source  *source
}

// describe reads version, manual pages and scripts from the built program, and the licences of its modules.
func (s *source) describe(ctx context.Context, programs map[platform]string, work string) (*bundle, error) {
	program, ok := programs[here]
	if !ok {
		return nil, fmt.Errorf("a release can't be made on %s: the program must be built for this platform and run here to write its manual pages", here)
	}
	b := &bundle{source: s, scripts: map[string][]byte{}}
	if err := b.readStamp(program); err != nil {
		return nil, err
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script, err := output(ctx, work, nil, program, "completion", shell)
		if err != nil {
			return nil, err
		}
		b.scripts[shell] = script
	}
	if err := b.readPages(ctx, program, filepath.Join(work, "man")); err != nil {
		return nil, err
	}
	var err error
	if b.notices, err = output(ctx, s.dir, []string{"GOFLAGS="}, "go", "run", "./cmd/licensecheck", "-notices"); err != nil {
		return nil, err
	}
	lines, err := output(ctx, s.dir, []string{"GOFLAGS="}, "go", "run", "./cmd/licensecheck")
	if err != nil {
		return nil, err
	}
	b.licence = licences(string(lines))
	return b, nil
}

// readStamp reads the version and the time of the commit from a program.
func (b *bundle) readStamp(program string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	b.version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if b.time, err = time.Parse(time.RFC3339, s.Value); err != nil {
				return err
			}
		}
	}
	if !strings.HasPrefix(b.version, "v") || b.time.IsZero() || strings.HasSuffix(b.version, "+dirty") {
		return fmt.Errorf("the go command did not stamp the program with a commit: it is version %q of %v", b.version, b.time)
	}
	return nil
}

// readPages runs the program to write its manual pages, and reads them.
func (b *bundle) readPages(ctx context.Context, program, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if _, err := output(ctx, dir, nil, program, "man", dir); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) == 0 {
		return errors.Join(fmt.Errorf("the program wrote no manual pages"), err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		b.pages = append(b.pages, entry{name: "man1/" + filepath.Base(page), mode: 0o644, content: text})
	}
	return nil
}

// number returns the version without its v, for file names.
func (b *bundle) number() string { return strings.TrimPrefix(b.version, "v") }

// file returns the contents of a file of the commit.
func (b *bundle) file(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(b.source.dir, filepath.FromSlash(name)))
}

// output runs a command in the folder dir and returns its standard output. env is added to the environment.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, failure.Bytes())
	}
	return out, nil
}
