package storage

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// The kinds of objects. Source of the letters: sys.objects, sys.database_principals.
const (
	KindTable     = "U"        // detail: its text, see [tsql.Table.Text]
	KindView      = "V"        // detail: the text that created it
	KindProcedure = "P"        // detail as of a view
	KindFunction  = "FN"       // a scalar function; detail as of a view
	KindTrigger   = "TR"       // detail as of a view
	KindDisabled  = "DISABLED" // name: that of a disabled trigger
	KindRole      = "R"
	KindUser      = "S"
	KindMember    = "MEMBER" // name: role/user
	KindGrant     = "GRANT"  // name: grantee/PERMISSION/object; object empty: the database
	KindLogin     = "LOGIN"  // only in master; detail: sid and password, see logins.go
)

// ObjectRow is an object of a database: a row of partner_objects, which is mirrored like the other tables.
type ObjectRow struct {
	Kind, Name, Detail string
	ID                 int64 // object_id of a table, a view or a procedure; 0: none
}

// Key returns the object's key in an [ObjectSet].
func (r *ObjectRow) Key() string { return ObjectKey(r.Kind, r.Name) }

// ObjectKey returns the key of the object of that kind and name. Case does not matter.
func ObjectKey(kind, name string) string { return kind + " " + strings.ToLower(name) }

const objectWidth = 4

// scanObject returns the object of a row of readObjects.
func scanObject(v []driver.Value) (*ObjectRow, error) {
	s := Scanner{V: v}
	r := &ObjectRow{Kind: s.Text(), Name: s.Text(), Detail: s.Text(), ID: s.Int64()}
	return r, s.Err
}

// parsedTables caches parsed tables by their CREATE text, which determines the table. Each CREATE of an object needs
// the tables again.
var parsedTables = CacheByText[*tsql.Table]{Most: 1024}

// CacheByText caches the results computed from texts that recur; when the cache is full it is emptied.
type CacheByText[T any] struct {
	Most int
	mu   sync.Mutex
	all  map[string]T
}

// Find returns the cached result for a text, or computes it with make.
func (k *CacheByText[T]) Find(key string, make func() (T, error)) (T, error) {
	k.mu.Lock()
	kept, ok := k.all[key]
	k.mu.Unlock()
	if ok {
		return kept, nil
	}
	made, err := make()
	if err != nil {
		return made, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= k.Most {
		k.all = map[string]T{}
	}
	k.all[key] = made
	return made, nil
}

// Table returns the parsed table of a row; nil if the row is nil or of another kind, or if its text cannot be parsed.
func (r *ObjectRow) Table() *tsql.Table {
	if r == nil || r.Kind != KindTable {
		return nil
	}
	t, err := parsedTables.Find(r.Detail, func() (*tsql.Table, error) { return tsql.ParseTable(r.Detail) })
	if err != nil {
		return nil
	}
	return t
}

// ObjectSet holds the objects of a database by key. It is never changed after it is published.
type ObjectSet map[string]*ObjectRow

func newObjectSet(rows []*ObjectRow) ObjectSet {
	set := ObjectSet{}
	for _, r := range rows {
		set[r.Key()] = r
	}
	return set
}

// Has reports whether there is an object of that kind and name.
func (o ObjectSet) Has(kind, name string) bool { return o[ObjectKey(kind, name)] != nil }

// Readable reports whether there is a table or a view of that name.
func (o ObjectSet) Readable(name string) bool { return o.Has(KindTable, name) || o.Has(KindView, name) }

// Named returns the table, view, procedure, function or trigger of that name; nil: no such object.
func (o ObjectSet) Named(name string) *ObjectRow {
	for _, kind := range []string{KindTable, KindView, KindProcedure, KindFunction, KindTrigger} {
		if r := o[ObjectKey(kind, name)]; r != nil {
			return r
		}
	}
	return nil
}

// Of returns the objects of a kind in the order of their names.
func (o ObjectSet) Of(kind string) []*ObjectRow {
	var list []*ObjectRow
	for _, r := range o {
		if r.Kind == kind {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *ObjectRow) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list
}

// SchemaObjects returns the tables, views and procedures in the order of their ids.
func (o ObjectSet) SchemaObjects() []*ObjectRow {
	var list []*ObjectRow
	for _, r := range o {
		if r.ID != 0 {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *ObjectRow) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// firstObjectID is the object_id of the first object of a database.
const firstObjectID = 245575913

// NextID returns the object_id of the next new object.
func (o ObjectSet) NextID() int64 {
	next := int64(firstObjectID)
	for _, r := range o {
		next = max(next, r.ID+1)
	}
	return next
}

// Table returns the table of that name, or nil.
func (o ObjectSet) Table(name string) *tsql.Table { return o[ObjectKey(KindTable, name)].Table() }

// Tables returns all tables.
func (o ObjectSet) Tables() []*tsql.Table {
	var list []*tsql.Table
	for _, r := range o.SchemaObjects() {
		if t := r.Table(); t != nil {
			list = append(list, t)
		}
	}
	return list
}

// Columns returns the columns of a table or a view, as a [tsql.Schema] does.
func (o ObjectSet) Columns(n tsql.Name) []tsql.Column {
	if n.Schema == tsql.FunctionSchema {
		return o.functionColumns(n.Object)
	}
	if t := o.Table(n.Table()); t != nil {
		return t.Schema()
	}
	if r := o[ObjectKey(KindView, n.Table())]; r != nil {
		list, err := tsql.ParseFor(r.Detail, o.Columns)
		if d, ok := DefinitionIn(list); ok && err == nil && d.View != nil {
			return d.View.Columns
		}
	}
	return nil
}

// DefinitionIn returns the only statement of a batch, if it is a definition (CREATE or ALTER of an object).
func DefinitionIn(list []tsql.Statement) (*tsql.Definition, bool) {
	if len(list) != 1 {
		return nil, false
	}
	d, ok := list[0].(*tsql.Definition)
	return d, ok
}

// Signature returns a text that determines the columns of all tables and views.
func (o ObjectSet) Signature() string {
	var b strings.Builder
	for _, r := range o.SchemaObjects() {
		if r.Kind != KindProcedure && r.Kind != KindTrigger {
			b.WriteString(r.Detail)
			b.WriteByte(0)
		}
	}
	return b.String()
}

// Snapshot holds the committed objects, with what was compiled from them.
type Snapshot struct {
	Set       ObjectSet
	Signature func() string
	Compiled  sync.Map // compiled procedures, by name in lower case
}

func newSnapshot(set ObjectSet) *Snapshot {
	return &Snapshot{Set: set, Signature: sync.OnceValue(set.Signature)}
}

// refreshObjects reads the committed objects again.
func (s *Store) refreshObjects() error {
	rows, err := s.Main.objectRows()
	if err == nil {
		s.Objects.Store(newSnapshot(newObjectSet(rows)))
	}
	return err
}

// objectRows reads all objects that the connection sees.
func (r *Reader) objectRows() ([]*ObjectRow, error) {
	return collect(r, r.objects, objectWidth, scanObject)
}

// Committed returns the objects that all sessions see.
func (s *Store) Committed() ObjectSet { return s.Objects.Load().Set }

// ObjectSet returns the objects as the open transaction sees them.
func (w *Writer) ObjectSet() (ObjectSet, error) {
	if w.Gathered.Objects != nil {
		return w.Gathered.Objects, nil
	}
	rows, err := w.objectRows()
	if err != nil {
		return nil, err
	}
	set := newObjectSet(rows)
	if w.Gathered.On {
		w.Gathered.Objects = set
	}
	return set, nil
}

// ErrUnreadable is returned if the stored text of an object cannot be parsed.
var ErrUnreadable = errors.New("the text of an object can't be read")
