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

// maxFile is the most bytes of a file: some ten thousand entries.
const maxFile = 4 << 20

// content is the file.
type content struct {
	Keys []Entry `json:"keys"`
}

// ReadFile reads a file's entries. The error says what to do; where there is no file it is fs.ErrNotExist.
func ReadFile(path string) ([]Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w; make the first one with mirrorstate key new", err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, fmt.Errorf("%s is no file of keys: it is no regular file, or larger than %d bytes", path, maxFile)
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

// parse reads the file's text, and refuses what it does not know: a misspelt word must
// not be a right more or a date less.
func parse(text []byte) ([]Entry, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var c content
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("is no file of keys: %w", err)
	}
	if dec.More() {
		return nil, errors.New("is no file of keys: there is more behind its end")
	}
	for i := range c.Keys {
		if err := c.Keys[i].Check(); err != nil {
			return nil, fmt.Errorf("entry %d (%.40q): %w", i+1, c.Keys[i].ID, err)
		}
	}
	return c.Keys, nil
}

// Edit reads the file, which need not be there, has change say what shall be in it, and
// puts that in its place at once: a reader sees the old or the new one. It keeps the file's
// mode and owner; a new one has mode 0600. Where path is a symbolic link, it stays one, and the file that it
// names is replaced. Two edits exclude each other.
func Edit(path string, change func([]Entry) ([]Entry, error)) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write the keys: %w", err)
	}
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there: somebody else edits the keys just now; if nobody does, an edit was broken off: remove it", next)
	}
	if err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	defer func() {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			_ = os.Remove(next) // the error says more
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
		if err := likeBefore(f, info); err != nil {
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
		err = secretfile.SyncFolder(filepath.Dir(path)) // or a key that was revoked could come back after a crash
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

// Add makes an entry out of what e says of names, applications, rights and dates, puts it into
// the file, and gives its id, and its key unless it is a certificate's: this is the
// only time the key is to be had.
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

// Revoke takes entries out of the file, by their ids, and gives them.
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
			return nil, fmt.Errorf("no key has the id %q; see mirrorstate key list", id)
		}
		return left, nil
	})
	return revoked, err
}
