package main

import (
	"errors"
	"os"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
)

// privateFile is a new file that only its owner can read. Its File is nil if --out is not set.
type privateFile struct{ *os.File }

// createPrivateFile creates an empty file, before the key that would be lost without it. The file stays open: somebody
// could replace it by another one of the same name before the key is written.
func createPrivateFile(path string) (privateFile, error) {
	if path == "" {
		return privateFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return privateFile{}, usage.Errorf("--out: %w; name a new file", err)
	}
	return privateFile{f}, nil
}

// write writes the text to the file and closes it.
func (p privateFile) write(text string) error {
	_, err := p.WriteString(text)
	if err == nil {
		err = p.Sync()
	}
	return errors.Join(err, p.Close())
}

// remove removes the file of a key that was not created.
func (p privateFile) remove() error {
	if p.File == nil {
		return nil
	}
	return errors.Join(p.Close(), os.Remove(p.Name()))
}
