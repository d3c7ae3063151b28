// Command release makes the files of a release from the commit that is checked out:
//
//	go run . -out ../../_release        (make release)
//
// For each system and processor it makes an archive with the program, its manual pages and its completion scripts,
// and a list of what is linked into it (CycloneDX). For Debian it makes packages. SHA256SUMS names them all.
//
// It builds a clone of the commit, so changes that are not committed are in no file, and the go command stamps the
// program with the commit's version, hash and time. All files carry that time: whoever builds the same commit with the
// same version of Go gets the same bytes.
//
// It is a module of its own, so that its dependencies are none of the program's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.repository, "repository", filepath.Join("..", ".."), "the clone whose checked-out commit is built")
	flag.StringVar(&o.out, "out", "", "the folder to make anew, with the files in it")
	flag.StringVar(&o.version, "version", "", "fail unless this is the commit's version, such as v1.2.3")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := release(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

type options struct{ repository, out, version string }

// platform is a system and a processor, in Go's words.
type platform struct{ system, processor string }

func (p platform) String() string { return p.system + "_" + p.processor }

// platforms are those a release has files for.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// release makes all files.
func release(ctx context.Context, o options) error {
	if o.out == "" {
		return fmt.Errorf("-out is missing: name the folder for the files")
	}
	work, err := os.MkdirTemp("", "mirrorstate-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	s, err := checkout(ctx, o.repository, filepath.Join(work, "source"))
	if err != nil {
		return err
	}
	programs, err := s.build(ctx, work)
	if err != nil {
		return err
	}
	b, err := s.describe(ctx, programs, work)
	if err != nil {
		return err
	}
	if o.version != "" && o.version != b.version {
		return fmt.Errorf("the commit is %s, not %s: is its tag there, and is it v1.2.3 in form?", b.version, o.version)
	}
	if err := os.RemoveAll(o.out); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	for _, p := range platforms {
		if err := b.write(o.out, p, programs[p]); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return writeSums(o.out)
}

// write makes the files of one platform.
func (b *bundle) write(out string, p platform, program string) error {
	base := filepath.Join(out, fmt.Sprintf("mirrorstate_%s_%s", b.number(), p))
	list, err := b.materials(program)
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".cdx.json", list, 0o644); err != nil {
		return err
	}
	contents, err := b.archived(p, program)
	if err != nil {
		return err
	}
	if p.system == "windows" {
		return writeZip(base+".zip", contents, b.time)
	}
	if err := writeTarGz(base+".tar.gz", contents, b.time); err != nil {
		return err
	}
	if p.system != "linux" {
		return nil
	}
	// Not by Debian's version: GitHub renames files with a ~, and the checksums would name others.
	return b.writeDeb(filepath.Join(out, fmt.Sprintf("mirrorstate_%s_%s.deb", b.number(), p.processor)), p, program)
}

// here is the platform this program runs on, whose binary is asked for its pages and scripts.
var here = platform{runtime.GOOS, runtime.GOARCH}
