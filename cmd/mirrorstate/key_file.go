package main

import (
	"errors"
	"os"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
)

// privateFile is a new file that only its user can read; nil: none is wanted.
type privateFile struct{ *os.File }

// createPrivateFile makes an empty file, before there is a key that would be lost without it. It stays open: by its name the key
// could get into another file that somebody put there meanwhile.
func createPrivateFile(path string) (privateFile, error) {
	if path == "" {
		return privateFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return privateFile{}, misuse.Errorf("--out: %w; name a new file", err)
	}
	return privateFile{f}, nil
}

// write fills the file and closes it.
func (p privateFile) write(text string) error {
	_, err := p.WriteString(text)
	if err == nil {
		err = p.Sync()
	}
	return errors.Join(err, p.Close())
}

// remove takes away a file for which there was no key.
func (p privateFile) remove() error {
	if p.File == nil {
		return nil
	}
	return errors.Join(p.Close(), os.Remove(p.Name()))
}
