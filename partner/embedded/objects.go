package embedded

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
	kindTable     = "U" // detail: its text, see [tsql.Table.Text]
	kindView      = "V" // detail: the text it was made with
	kindProcedure = "P" // the same
	kindRole      = "R"
	kindUser      = "S"
	kindMember    = "MEMBER" // name: role/user
	kindGrant     = "GRANT"  // name: grantee/PERMISSION/object; object empty: the database
	kindLogin     = "LOGIN"  // only in master; detail: sid and password, see logins.go
)

// objectRow is an object that a database has: a row of partner_objects, which is mirrored with the others.
type objectRow struct {
	kind, name, detail string
	id                 int64 // object_id of a table, a view or a procedure; 0: it has none
}

func (r *objectRow) key() string { return objectKey(r.kind, r.name) }

func objectKey(kind, name string) string { return kind + " " + strings.ToLower(name) }

const objectWidth = 4

// scanObject makes an object of a row of readObjects.
func scanObject(v []driver.Value) (*objectRow, error) {
	s := scanner{v: v}
	r := &objectRow{kind: s.text(), name: s.text(), detail: s.text(), id: s.int64()}
	return r, s.err
}

// parsedTables are tables by the text that made them: it tells all, and comes again with each object that is made.
var parsedTables = keptByText[*tsql.Table]{most: 1024}

// keptByText keeps what was made of texts that come again; when they are too many it begins anew.
type keptByText[T any] struct {
	most int
	mu   sync.Mutex
	all  map[string]T
}

// find gives what is kept for a text, or what make makes of it.
func (k *keptByText[T]) find(key string, make func() (T, error)) (T, error) {
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
	if k.all == nil || len(k.all) >= k.most {
		k.all = map[string]T{}
	}
	k.all[key] = made
	return made, nil
}

// table is what a table's row says; nil where there is no row, where it is another kind's, or where its text can't be read.
func (r *objectRow) table() *tsql.Table {
	if r == nil || r.kind != kindTable {
		return nil
	}
	t, err := parsedTables.find(r.detail, func() (*tsql.Table, error) { return tsql.ParseTable(r.detail) })
	if err != nil {
		return nil
	}
	return t
}

// objectSet is the objects of a database by key. It is never changed once others can see it.
type objectSet map[string]*objectRow

func newObjectSet(rows []*objectRow) objectSet {
	set := objectSet{}
	for _, r := range rows {
		set[r.key()] = r
	}
	return set
}

// has tells whether there is such an object.
func (o objectSet) has(kind, name string) bool { return o[objectKey(kind, name)] != nil }

// readable tells whether there is a table or a view of that name.
func (o objectSet) readable(name string) bool { return o.has(kindTable, name) || o.has(kindView, name) }

// named finds the table, view or procedure of that name; nil: there is none.
func (o objectSet) named(name string) *objectRow {
	for _, kind := range []string{kindTable, kindView, kindProcedure} {
		if r := o[objectKey(kind, name)]; r != nil {
			return r
		}
	}
	return nil
}

// of are the objects of a kind in the order of their names.
func (o objectSet) of(kind string) []*objectRow {
	var list []*objectRow
	for _, r := range o {
		if r.kind == kind {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *objectRow) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	return list
}

// schemaObjects are the tables, views and procedures in the order of their ids.
func (o objectSet) schemaObjects() []*objectRow {
	var list []*objectRow
	for _, r := range o {
		if r.id != 0 {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *objectRow) int { return cmp.Compare(a.id, b.id) })
	return list
}

// firstObjectID is the object_id of the first object of a database.
const firstObjectID = 245575913

// nextID is the object_id of the next one.
func (o objectSet) nextID() int64 {
	next := int64(firstObjectID)
	for _, r := range o {
		next = max(next, r.id+1)
	}
	return next
}

// table is the table of that name, or nil.
func (o objectSet) table(name string) *tsql.Table { return o[objectKey(kindTable, name)].table() }

// tables are all tables.
func (o objectSet) tables() []*tsql.Table {
	var list []*tsql.Table
	for _, r := range o.schemaObjects() {
		if t := r.table(); t != nil {
			list = append(list, t)
		}
	}
	return list
}

// columns tells the columns of a table or a view, as a [tsql.Schema].
func (o objectSet) columns(n tsql.Name) []tsql.Column {
	if t := o.table(n.Table()); t != nil {
		return t.Schema()
	}
	if r := o[objectKey(kindView, n.Table())]; r != nil {
		list, err := tsql.ParseFor(r.detail, o.columns)
		if d, ok := definitionIn(list); ok && err == nil && d.View != nil {
			return d.View.Columns
		}
	}
	return nil
}

// definitionIn is the only statement of a batch, if it defines something.
func definitionIn(list []tsql.Statement) (*tsql.Definition, bool) {
	if len(list) != 1 {
		return nil, false
	}
	d, ok := list[0].(*tsql.Definition)
	return d, ok
}

// signature is what the columns of all tables and views come from.
func (o objectSet) signature() string {
	var b strings.Builder
	for _, r := range o.schemaObjects() {
		if r.kind != kindProcedure {
			b.WriteString(r.detail)
			b.WriteByte(0)
		}
	}
	return b.String()
}

// snapshot is the objects as they were committed, with what was made of them.
type snapshot struct {
	set       objectSet
	signature func() string
	compiled  sync.Map // procedures as who runs them has compiled them, by name in lower case
}

func newSnapshot(set objectSet) *snapshot {
	return &snapshot{set: set, signature: sync.OnceValue(set.signature)}
}

// committedProcedure finds a procedure, compiled; nil: there is none.
func committedProcedure(s *snapshot, name string) (*procedure, error) {
	key := strings.ToLower(name)
	if p, ok := s.compiled.Load(key); ok {
		return p.(*procedure), nil
	}
	p, err := procedureNamed(s.set, name, s.signature())
	if p != nil {
		s.compiled.Store(key, p)
	}
	return p, err
}

// procedureNamed finds a procedure and compiles it; nil: there is none.
func procedureNamed(o objectSet, name, signature string) (*procedure, error) {
	r := o[objectKey(kindProcedure, name)]
	if r == nil {
		return nil, nil
	}
	return compiledProcedure(r.detail, signature, o.columns)
}

// refreshObjects reads the objects again.
func (s *store) refreshObjects() error {
	rows, err := s.main.objectRows()
	if err == nil {
		s.objects.Store(newSnapshot(newObjectSet(rows)))
	}
	return err
}

// objectRows reads all objects, as the connection sees them.
func (r *reader) objectRows() ([]*objectRow, error) {
	return collect(r, r.objects, objectWidth, scanObject)
}

// committed are the objects that all sessions see.
func (s *store) committed() objectSet { return s.objects.Load().set }

// visible are the objects of the database as the session sees them: with what its open transaction did.
func (s *session) visible(d *database) (objectSet, error) {
	if s.lease == nil || s.lease.p != d {
		return d.store.committed(), nil
	}
	var set objectSet
	err := s.lease.run(func(w *writer) (err error) {
		set, err = w.objectSet()
		return err
	})
	return set, err
}

// objectSet is the objects as the open transaction has them.
func (w *writer) objectSet() (objectSet, error) {
	if w.gathered.objects != nil {
		return w.gathered.objects, nil
	}
	rows, err := w.objectRows()
	if err != nil {
		return nil, err
	}
	set := newObjectSet(rows)
	if w.gathered.on {
		w.gathered.objects = set
	}
	return set, nil
}

// procedureIn finds a procedure of a database as the session sees it, compiled; nil: there is none.
func (s *session) procedureIn(d *database, set objectSet, name string) (*procedure, error) {
	if s.lease == nil || s.lease.p != d {
		return committedProcedure(d.store.objects.Load(), name)
	}
	return procedureNamed(set, name, set.signature())
}

// errUnreadable: the text of an object can't be read any more.
var errUnreadable = errors.New("the text of an object can't be read")
