package mirror

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// The files of a data folder, next to its partners' folders "a" and "b".
const (
	markerFile   = "mirrorstate-data"
	markerText   = "mirrorstate embedded pair, data format 1\n"
	PasswordFile = "password"
	firstFile    = "ASPState.db" // the database of that name
	emptyFile    = "empty"       // exists if the folder was made for servers without databases
	titleFile    = "database"    // the name of the pair's first database; exists if it is not DatabaseName
)

// folder is an opened data folder. Its lock keeps other processes from opening it.
type folder struct {
	Dir      string
	lock     *os.File
	Password string
	Fresh    bool   // this start generated the password
	empty    bool   // the folder was made for servers without databases
	title    string // the name of the pair's first database, if it has one
}

// OpenFolder opens the folder, or initializes an empty or missing folder.
func OpenFolder(o *Options) (*folder, error) {
	dir := o.Dir
	if dir == "" {
		return nil, errors.New("the embedded pair needs a data folder; name one with --data, in Go Options.Dir")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder %s: %w; choose another one with --data, in Go Options.Dir", dir, err)
	}
	if err := secretfile.Refuse(dir); err != nil {
		return nil, fmt.Errorf("%w, or choose another folder with --data, in Go Options.Dir", err)
	}
	if err := claim(dir); err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{Dir: dir, lock: lock}
	if err := f.prepare(o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// prepare creates the partners' folders and determines the password.
func (f *folder) prepare(o *Options) error {
	if err := f.chooseEmpty(o.Empty); err != nil {
		return err
	}
	if err := f.chooseTitle(o.Database); err != nil {
		return err
	}
	for _, name := range PartnerNames {
		if err := os.MkdirAll(filepath.Join(f.Dir, name), 0o700); err != nil {
			return fmt.Errorf("create the folder of partner %s: %w", name, err)
		}
		if err := secretfile.Refuse(f.Home(name)); err != nil {
			return err
		}
	}
	return f.choosePassword(o.Password)
}

// claim checks that the folder belongs to mirrorstate, by its marker file, or marks an empty folder.
func claim(dir string) error {
	marker := filepath.Join(dir, markerFile)
	text, err := os.ReadFile(marker)
	switch {
	case err == nil && string(text) == markerText:
		return nil
	case err == nil && strings.HasPrefix(string(text), "mirrorstate "):
		return fmt.Errorf("%s was created by another version of mirrorstate; choose another folder with --data, in Go Options.Dir", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w; choose another folder with --data, in Go Options.Dir", marker, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data folder: %w; choose another one with --data, in Go Options.Dir", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not a mirrorstate data folder; choose an empty one with --data, in Go Options.Dir", dir)
	}
	if err := os.WriteFile(marker, []byte(markerText), 0o600); err != nil {
		return fmt.Errorf("write into the data folder: %w; choose another one with --data, in Go Options.Dir", err)
	}
	return nil
}

// lockFolder locks the marker file. The lock ends with the process, however that ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, markerFile), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another mirrorstate; stop that process or choose another folder with --data, in Go Options.Dir", dir)
	}
	return f, nil
}

// choosePassword uses the given password, or the stored one, or generates one.
func (f *folder) choosePassword(given string) error {
	if given != "" {
		f.Password = given
		return nil
	}
	path := filepath.Join(f.Dir, PasswordFile)
	if err := secretfile.Refuse(path); err != nil {
		return err
	}
	kept, err := textfile.ReadLine(path)
	if err == nil {
		if f.Password = strings.TrimSpace(kept); f.Password != "" {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the password in %s: %w", path, err)
	}
	f.Password, f.Fresh = rand.Text(), true
	if err := secretfile.Write(path, []byte(f.Password+"\n")); err != nil {
		return fmt.Errorf("store the password: %w", err)
	}
	return nil
}

// chooseEmpty determines whether the folder is for servers without databases. Only a new folder can become such a
// folder.
func (f *folder) chooseEmpty(wanted bool) error {
	path := filepath.Join(f.Dir, emptyFile)
	_, err := os.Stat(path)
	f.empty = err == nil
	if f.empty || !wanted {
		return nil
	}
	if !f.isNew() {
		return fmt.Errorf("%s already holds a pair; choose an empty folder (--data; in Go Options.Dir) for servers without databases", f.Dir)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return fmt.Errorf("write into the data folder: %w", err)
	}
	f.empty = true
	return nil
}

// isNew reports whether the folder holds no pair yet.
func (f *folder) isNew() bool {
	_, err := os.Stat(f.Home(PartnerNames[0]))
	return err != nil
}

// chooseTitle determines the name of the pair's first database, which can be chosen only for a new folder. Empty: the
// stored name, or the default.
func (f *folder) chooseTitle(wanted string) error {
	path := filepath.Join(f.Dir, titleFile)
	kept, err := textfile.ReadLine(path)
	switch {
	case err == nil:
		f.title = strings.TrimSpace(kept)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the database name in %s: %w", path, err)
	case wanted != "" && f.isNew():
		if len([]rune(wanted)) > maxName || strings.TrimSpace(wanted) != wanted || slices.ContainsFunc(SystemDatabases, func(s string) bool { return strings.EqualFold(s, wanted) }) {
			return fmt.Errorf("invalid name %q of a pair's database: it must have 1 to %d characters and must not be a system database", wanted, maxName)
		}
		f.title = wanted
		return os.WriteFile(path, []byte(wanted+"\n"), 0o600)
	default:
		f.title = DatabaseName
	}
	if wanted != "" && !strings.EqualFold(wanted, f.title) {
		return fmt.Errorf("%s holds a pair whose first database is %s, not %s; choose another folder", f.Dir, f.title, wanted)
	}
	return nil
}

// Home returns the folder of a partner's databases.
func (f *folder) Home(partner string) string { return filepath.Join(f.Dir, partner) }

// first returns the path of a partner's copy of the pair's first database.
func (f *folder) first(partner string) string { return f.Database(partner, f.title) }

// Database returns the path of a partner's database. The case of the name does not matter.
func (f *folder) Database(partner, name string) string {
	if strings.EqualFold(name, DatabaseName) {
		return filepath.Join(f.Home(partner), firstFile)
	}
	var file strings.Builder
	for _, c := range []byte(strings.ToLower(name)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			file.WriteByte(c)
		} else {
			fmt.Fprintf(&file, "%%%02X", c)
		}
	}
	return filepath.Join(f.Home(partner), file.String()+".db")
}

// Exposed checks the data folder, the password file and the partners' databases, and returns those that other users of
// the machine can read.
func (p *Pair) Exposed() (all []*secretfile.Exposure) {
	f := p.Folder
	for _, path := range []string{f.Dir, filepath.Join(f.Dir, PasswordFile), f.Home(PartnerNames[0]), f.Home(PartnerNames[1])} {
		if e := secretfile.Check(path); e != nil {
			all = append(all, e)
		}
	}
	return all
}

// Close unlocks the folder.
func (f *folder) Close() error { return f.lock.Close() }

// PasswordFile returns the path of the file that stores the password, mode 0600; it does not store a password that was
// given in Options.
func (p *Pair) PasswordFile() string { return filepath.Join(p.Folder.Dir, PasswordFile) }
