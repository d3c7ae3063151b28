package embedded

import (
	"database/sql/driver"
	"slices"
	"strings"
)

// The kinds of objects.
const (
	kindTable     = "U"
	kindProcedure = "P"
	kindColumns   = "COLUMNS" // those that the extension adds to a stock table
	kindIndex     = "INDEX"   // name: table/index
	kindRole      = "R"
	kindUser      = "S"
	kindMember    = "MEMBER"     // name: role/user
	kindGrant     = "GRANT"      // name: grantee/PERMISSION/object; object empty: the database
	kindLogin     = "LOGIN"      // only in master; detail: sid and password, see logins.go
	kindAll       = "EVERYTHING" // all tables and procedures there are, and the columns
)

// objectRow is an object that a database has: a row of partner_objects, which is mirrored
// with the others. The tables themselves stand in each file, visible or not.
type objectRow struct {
	kind, name, detail string
}

func (r *objectRow) key() string { return objectKey(r.kind, r.name) }

func objectKey(kind, name string) string { return kind + " " + strings.ToLower(name) }

// splitObjectKey takes apart what objectKey made; the name is in lower case then.
func splitObjectKey(key string) (kind, name string) {
	kind, name, _ = strings.Cut(key, " ")
	return kind, name
}

const (
	objectColumns = `kind, name, detail`
	objectWidth   = 3
)

func scanObject(v []driver.Value) (*objectRow, error) {
	s := scanner{v: v}
	r := &objectRow{kind: s.text(), name: s.text(), detail: s.text()}
	return r, s.err
}

// objectSet is the objects of a database by key. It is never changed.
type objectSet map[string]*objectRow

// newObjectSet makes one of rows; EVERYTHING stands for the whole catalogue.
func newObjectSet(rows []*objectRow) objectSet {
	set := objectSet{}
	for _, r := range rows {
		if r.kind == kindAll {
			for _, o := range everything() {
				set[o.key()] = o
			}
		}
		set[r.key()] = r
	}
	return set
}

// everything is all tables and procedures of the catalogue, in the order of their ids.
func everything() []*objectRow {
	var all []*objectRow
	for _, t := range schemaTables {
		all = append(all, &objectRow{kind: kindTable, name: t})
	}
	for _, p := range mustCatalogue().list {
		all = append(all, &objectRow{kind: kindProcedure, name: p.name})
	}
	return append(all, &objectRow{kind: kindColumns, name: sessionsTable}, stockTables[1], stockTables[3],
		&objectRow{kind: kindIndex, name: tombstonesTable + "/Index_Removed"},
		&objectRow{kind: kindIndex, name: settledTable + "/Index_Settled"})
}

// has tells whether there is such an object.
func (o objectSet) has(kind, name string) bool { return o[objectKey(kind, name)] != nil }

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

// refreshObjects reads the objects again.
func (s *store) refreshObjects() error {
	rows, err := s.main.objectRows()
	if err == nil {
		set := newObjectSet(rows)
		s.objects.Store(&set)
	}
	return err
}

// objectRows reads all objects, as the connection sees them.
func (r *reader) objectRows() ([]*objectRow, error) {
	return collect(r, r.objects, objectWidth, scanObject)
}

// visible are the objects of the database as the session sees them: with what its open transaction did.
func (s *session) visible(d *database) (objectSet, error) {
	if s.lease == nil || s.lease.p != d {
		return *d.store.objects.Load(), nil
	}
	var set objectSet
	err := s.lease.run(func(w *writer) error {
		rows, err := w.objectRows()
		set = newObjectSet(rows)
		return err
	})
	return set, err
}

// allows tells whether what the procedure reads and writes is there: 208 for a table, 207 for the
// extension's columns.
func (o objectSet) allows(p *procedure) error {
	for _, key := range p.needs {
		if o[key] == nil {
			_, name := splitObjectKey(key)
			return p.located(message(208, 16, "Invalid object name 'dbo.%s'.", name))
		}
	}
	if p.extended && !o.has(kindColumns, sessionsTable) {
		return p.located(message(207, 16, "Invalid column name '%s'.", extensionColumns[3]))
	}
	return nil
}
