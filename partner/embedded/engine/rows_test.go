package engine

import (
	"bytes"
	"database/sql/driver"
	"math"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// A row is equal on both partners, whatever values SQLite stores in it.
func TestRows_anyValueIsMirrored(t *testing.T) {
	p := openPair(t).Partner("a")
	values := []driver.Value{nil, int64(0), int64(math.MinInt64), int64(math.MaxInt64), 1.5, "", "it's\x00half", "é漢😀", []byte{}, []byte{0, 1, 255},
		bytes.Repeat([]byte{9}, 20_000)}
	err := p.Main().Exclusively(t.Context(), func(w *storage.Writer) error {
		for i, v := range values {
			st, err := w.Query("INSERT INTO MirrorStateSweep (Id, Owner, Deleted) VALUES (?1, ?2, 0)")
			if err != nil {
				return err
			}
			if _, err := st.Exec(int64(100+i), v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, partner := range p.Pair.Partners {
		err := partner.Main().Store.Read(func(r *storage.Reader) error {
			for i, want := range values {
				st, err := r.Query("SELECT +Owner, typeof(Owner), length(CAST(Owner AS BLOB)) FROM MirrorStateSweep WHERE Id = ?1")
				if err != nil {
					return err
				}
				got := make([]driver.Value, 3)
				if _, err := st.Row(got, int64(100+i)); err != nil {
					return err
				}
				if s, ok := want.(string); ok && got[2] != int64(len(s)) {
					t.Errorf("%s has %v bytes of %q", partner.Letter, got[2], s)
				}
				if b, ok := want.([]byte); ok && len(b) == 0 {
					want, got[0] = "blob", got[1] // the driver returns nil for an empty binary value
				}
				if !reflect.DeepEqual(got[0], want) {
					t.Errorf("%s has %#v (%v), want %#v", partner.Letter, got[0], got[1], want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A changed rowid, and rows that swap their rowids, are the same on the mirror.
func TestRows_changePlaces(t *testing.T) {
	p := openPair(t).Partner("a")
	rowids := func(q interface{ Main() *mirror.Database }) (all string) {
		t.Helper()
		err := q.Main().Store.Read(func(r *storage.Reader) error {
			st, err := r.Query("SELECT group_concat(rowid || ':' || AppId || AppName) FROM (SELECT rowid, * FROM ASPStateTempApplications ORDER BY rowid)")
			if err != nil {
				return err
			}
			v := make([]driver.Value, 1)
			_, err = st.Row(v)
			all, _ = v[0].(string)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, text := range []string{
		"INSERT INTO ASPStateTempApplications (rowid, AppId, AppName) VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')",
		"UPDATE ASPStateTempApplications SET AppId = -AppId; UPDATE ASPStateTempApplications SET AppId = 3 + AppId WHERE AppId > -3", // 1 and 2 change places
		"UPDATE ASPStateTempApplications SET rowid = 9 WHERE AppName = 'c'",
		"DELETE FROM ASPStateTempApplications WHERE AppName = 'a'; INSERT INTO ASPStateTempApplications (rowid, AppId, AppName) VALUES (1, 2, 'd')",
		"DELETE FROM ASPStateTempApplications",
	} {
		if err := p.Main().Exclusively(t.Context(), func(w *storage.Writer) error { return w.Script(text) }); err != nil {
			t.Fatal(text, err)
		}
		if a, b := rowids(p), rowids(p.Other()); a != b {
			t.Errorf("after %s: %s here, %s on the mirror", text, a, b)
		}
	}
}

// A backup has the rowids of the database: a mirror that is created from one applies rows by
// them.
func TestRows_backupKeepsThem(t *testing.T) {
	p := openPair(t).Partner("a")
	err := p.Main().Exclusively(t.Context(), func(w *storage.Writer) error {
		return w.Script("CREATE TABLE bare (n int); INSERT INTO bare (rowid, n) VALUES (3, 1), (70, 2), (5, 3); INSERT INTO ASPStateTempApplications (rowid, AppId, AppName) VALUES (90, 1, 'z'), (4, 2, 'a')")
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy")
	if _, err := p.Main().CopyOut(file, mirror.BackupHeader{}); err != nil {
		t.Fatal(err)
	}
	c, err := storage.OpenConn(file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Number("SELECT (SELECT sum(rowid * n) FROM bare) * 1000 + (SELECT sum(rowid * AppId) FROM ASPStateTempApplications)"); err != nil || n != (3+140+15)*1000+98 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestDatetime(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"2026-01-02 03:04:05.001", "2026-01-02 03:04:05.000"},
		{"2026-01-02 03:04:05.002", "2026-01-02 03:04:05.003"},
		{"2026-01-02 03:04:05.005", "2026-01-02 03:04:05.007"},
		{"2026-01-02 23:59:59.999", "2026-01-03 00:00:00.000"},
		{"1753-01-01 00:00:00.000", "1753-01-01 00:00:00.000"},
		{"9999-12-31 23:59:59.997", "9999-12-31 23:59:59.997"},
	} {
		d, ok := sqlvalue.ParseDatetime(c.in)
		if !ok || d.Text() != c.want || !d.InRange() {
			t.Errorf("%s: %s (%v), want %s", c.in, d.Text(), ok, c.want)
		}
	}
	for _, bad := range []string{"", "2026-02-31 00:00:00", "2026-01-02", "2026-01-02 25:00:00", "2026-01-02 03:04:05.", "x026-01-02 03:04:05", "1752-01-01 00:00:00"} {
		if d, ok := sqlvalue.ParseDatetime(bad); ok {
			t.Errorf("%q was read as %s", bad, d.Text())
		}
	}
	a, _ := sqlvalue.ParseDatetime("2026-01-02 03:04:05.997")
	b, _ := sqlvalue.ParseDatetime("2026-01-02 03:04:06.000")
	if got := a.SecondsUntil(b); got != 1 {
		t.Errorf("3 ms across a second boundary are %d s, want 1", got)
	}
}
