package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// entry is a file in an archive.
type entry struct {
	name    string // with slashes
	mode    fs.FileMode
	content []byte
}

// archived returns the contents of a platform's archive: one folder.
func (b *bundle) archived(p platform, program string) ([]entry, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	list := []entry{{filepath.Base(program), 0o755, text}, {"NOTICES", 0o644, b.notices}}
	files := map[string]string{"LICENSE": "LICENSE", "README.md": "README.md", "CHANGELOG.md": "CHANGELOG.md", "mirrorstate.yaml": "deploy/mirrorstate.yaml"}
	if p.system == "linux" {
		files["systemd/mirrorstate.service"] = "deploy/systemd/mirrorstate.service"
	}
	for _, name := range sortedKeys(files) {
		content, err := b.file(files[name])
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name, 0o644, content})
	}
	if p.system == "windows" {
		list = append(list, entry{"completions/mirrorstate.ps1", 0o644, b.scripts["powershell"]})
	} else {
		list = append(list,
			entry{"completions/mirrorstate.bash", 0o644, b.scripts["bash"]},
			entry{"completions/_mirrorstate", 0o644, b.scripts["zsh"]},
			entry{"completions/mirrorstate.fish", 0o644, b.scripts["fish"]},
			entry{"completions/mirrorstate.ps1", 0o644, b.scripts["powershell"]})
		for _, page := range b.pages {
			list = append(list, entry{"man/" + page.name, page.mode, page.content})
		}
	}
	folder := fmt.Sprintf("mirrorstate_%s_%s/", b.number(), p)
	for i := range list {
		list[i].name = folder + list[i].name
	}
	return list, nil
}

// writeTarGz writes a compressed tar archive. Every file in it is owned by root and has the time t.
func writeTarGz(file string, list []entry, t time.Time) error {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range list {
		header := &tar.Header{Name: e.name, Mode: int64(e.mode.Perm()), Size: int64(len(e.content)), ModTime: t, Uname: "root", Gname: "root", Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(e.content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	text, err := gzipped(out.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// gzipped returns the text compressed by gzip, without a name and a time.
func gzipped(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// writeZip writes a zip archive.
func writeZip(file string, list []entry, t time.Time) error {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range list {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: t.UTC()}
		header.SetMode(e.mode)
		f, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// sumsFile is the name of the list of checksums, in the format of sha256sum.
const sumsFile = "SHA256SUMS"

// writeSums writes the checksums of all files in a folder.
func writeSums(dir string) error {
	files, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return err
	}
	var list bytes.Buffer
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(content), f.Name())
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), list.Bytes(), 0o644)
}
