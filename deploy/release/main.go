// Command release makes the files of a release from the commit that is checked out:
//
//	go run . -out ../../_release        (make release)
//
// For each system and processor it writes an archive with the program, its manual pages and its completion scripts. A
// CycloneDX list names the modules that are linked into the program. For Debian it writes packages. SHA256SUMS has the
// checksums of all files.
//
// It builds a clone of the commit, so no file has changes that are not committed. The go command stamps the program
// with the version, hash and time of the commit. All files have that time. The same commit and the same version of Go
// always give the same bytes.
//
// It is a separate module, so that the program does not get its dependencies.
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
	flag.StringVar(&o.repository, "repository", filepath.Join("..", ".."), "the repository whose checked-out commit is built")
	flag.StringVar(&o.out, "out", "", "the folder for the files; an existing one is replaced")
	flag.StringVar(&o.version, "version", "", "fail if the commit has another version; for example v1.2.3")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := release(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

type options struct{ repository, out, version string }

// platform is a pair of GOOS and GOARCH.
type platform struct{ system, processor string }

func (p platform) String() string { return p.system + "_" + p.processor }

// platforms are the platforms of a release.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// release writes all files of a release.
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
		return fmt.Errorf("the version of the commit is %s, not %s: check that its tag exists and has the form v1.2.3", b.version, o.version)
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

// write writes the files of one platform.
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
	// The name does not have Debian's version: GitHub renames files with a ~, and the checksums would have the wrong
	// names.
	return b.writeDeb(filepath.Join(out, fmt.Sprintf("mirrorstate_%s_%s.deb", b.number(), p.processor)), p, program)
}

// here is the platform of this process. Its program runs here to write the pages and scripts.
var here = platform{runtime.GOOS, runtime.GOARCH}
