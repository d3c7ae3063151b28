package keyring

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// maxFile is the maximum size of a file in bytes: about ten thousand entries.
const maxFile = 4 << 20

// content is the JSON object in the file.
type content struct {
	Keys []Entry `json:"keys"`
}

// ReadFile reads a file's entries. The error says what to do. If there is no file, it wraps fs.ErrNotExist.
func ReadFile(path string) ([]Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w; make the first one with mirrorstate key new", err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, fmt.Errorf("%s is not a keys file: it must be a regular file of at most %d bytes", path, maxFile)
	}
	if err := secretfile.Refuse(path); err != nil {
		return nil, err
	}
	text, err := textfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	entries, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return entries, nil
}

// parse reads the file's text. An unknown field is an error: a misspelt name must not add a
// right or drop an expiry date.
func parse(text []byte) ([]Entry, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var c content
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("not a keys file: %w", err)
	}
	if dec.More() {
		return nil, errors.New("not a keys file: there is more text after its end")
	}
	for i := range c.Keys {
		if err := c.Keys[i].Check(); err != nil {
			return nil, fmt.Errorf("entry %d (%.40q): %w", i+1, c.Keys[i].ID, err)
		}
	}
	return c.Keys, nil
}

// Edit reads the file, which need not exist, and passes its entries to change. It then replaces the file with
// the result in one step: a reader sees the old or the new content. It keeps the file's mode and owner; a new
// file has mode 0600. If path is a symbolic link, Edit keeps the link and replaces the file it points to. Only one edit
// runs at a time; another one returns an error.
func Edit(path string, change func([]Entry) ([]Entry, error)) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write the keys: %w", err)
	}
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: another edit is running; if none is, an earlier one was interrupted: remove the file", next)
	}
	if err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	defer func() {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			_ = os.Remove(next) // err says more than an error of Remove
		}
	}()
	entries, err := ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if entries, err = change(entries); err != nil {
		return err
	}
	if err := write(f, entries); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	if info, err := os.Stat(path); err == nil {
		if err := copyModeAndOwner(f, info); err != nil {
			return fmt.Errorf("give %s the mode and owner of %s: %w", next, path, err)
		}
	}
	closing := f
	f = nil
	if err := closing.Close(); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	err = os.Rename(next, path)
	if err == nil {
		err = secretfile.SyncFolder(filepath.Dir(path)) // otherwise a revoked key could come back after a crash
	}
	if err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	return nil
}

func write(f *os.File, entries []Entry) error {
	if entries == nil {
		entries = []Entry{}
	}
	text, err := json.MarshalIndent(content{entries}, "", "  ")
	if err != nil {
		return err
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		return err
	}
	return f.Sync()
}

// Add makes an entry with the name, applications, rights and dates of e, and adds it to the file.
// It returns the entry's id, and the new key unless the entry is for a certificate. The key is not
// stored: nobody can read it later.
func Add(path string, e Entry, now time.Time) (key, id string, err error) {
	if e.Certificate == "" {
		key, e.ID = NewKey()
		sum := hash(key)
		e.SHA256 = hex.EncodeToString(sum[:])
	} else {
		e.ID = newID()
	}
	e.Created = now.UTC().Truncate(time.Second)
	if err := e.Check(); err != nil {
		return "", "", err
	}
	err = Edit(path, func(entries []Entry) ([]Entry, error) {
		for _, other := range entries {
			if other.ID == e.ID || e.Certificate != "" && other.Certificate == e.Certificate {
				return nil, fmt.Errorf("entry %s is for the same certificate; revoke it first", other.ID)
			}
		}
		return append(entries, e), nil
	})
	return key, e.ID, err
}

// Revoke removes the entries with these ids from the file and returns them. If an id is unknown, it removes none.
func Revoke(path string, ids ...string) (revoked []Entry, err error) {
	err = Edit(path, func(entries []Entry) (left []Entry, err error) {
		if len(entries) == 0 {
			return nil, fmt.Errorf("%s has no keys", path)
		}
		asked := make(map[string]bool)
		for _, id := range ids {
			asked[id] = true
		}
		for _, e := range entries {
			if asked[e.ID] {
				revoked = append(revoked, e)
				delete(asked, e.ID)
				continue
			}
			left = append(left, e)
		}
		for id := range asked {
			return nil, fmt.Errorf("no key has the id %q; mirrorstate key list shows the ids", id)
		}
		return left, nil
	})
	return revoked, err
}
