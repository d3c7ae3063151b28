package embedded

import (
	"bytes"
	"reflect"
	"testing"
)

// sampleRows are one with as few values as can be, one with all, and one with empty items.
func sampleRows() []*sessionRow {
	sparse := newSessionRow("sparse", utcNow(), utcNow(), 1)
	full := newSessionRow("full|with 'bars'", utcNow(), utcNow(), 525600)
	full.lockCookie, full.locked, full.flags = 2147483647, true, -1
	full.short, full.long = []byte{0, 1, 255}, bytes.Repeat([]byte{9}, 20_000)
	full.lockOp, full.lockOpCookie, full.lockActionFlags = zeroOperation, nullInt{7, true}, nullInt{0, true}
	for i := range full.ops {
		full.ops[i] = operation(bytes.Repeat([]byte{byte(i), '|'}, 8))
		full.opDates[i] = clockNow()
	}
	full.forgotten, full.timeoutDate, full.timeoutSeconds = clockNow(), clockNow(), nullInt{31_535_999, true}
	empty := newSessionRow("empty", firstDate, lastDate, 1)
	empty.short, empty.long = []byte{}, []byte{}
	empty.ops[2] = zeroOperation // a gap in the ring
	return []*sessionRow{sparse, full, empty}
}

func TestRows_whatIsWrittenIsRead(t *testing.T) {
	p := openPair(t).Partner("a")
	for _, want := range sampleRows() {
		_, err := p.main().write(t.Context(), func(tx *transaction) (*result, error) {
			tx.put(want)
			return &result{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, partner := range p.pair.partners {
			err := partner.main().store.read(func(r *reader) error {
				got, err := r.sessionRow(want.id)
				if err == nil && !reflect.DeepEqual(got, want) {
					t.Errorf("%s on %s:\n%+v, want\n%+v", want.id, partner.name, got, want)
				}
				v := r.buffer[:packedWidth]
				if _, err := r.packed.row(v, want.id); err != nil {
					return err
				}
				if _, ok := scanPacked(v); !ok {
					t.Errorf("%s does not fit the packed form", want.id)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRows_oddValuesAreReadColumnByColumn(t *testing.T) {
	p := openPair(t).Partner("a")
	storeItem(t, p, "s", []byte("x"))
	err := p.main().exclusively(t.Context(), func(w *writer) error {
		return w.script("UPDATE ASPStateTempSessions SET OperationId2 = x'01', OperationDate2 = '2026-01-02 03:04:05'")
	})
	if err != nil {
		t.Fatal(err)
	}
	err = p.other().main().store.read(func(r *reader) error {
		s, err := r.sessionRow("s")
		if err == nil && (s.ops[1] != operationOf([]byte{1}) || s.opDates[1].text() != "2026-01-02 03:04:05.0000000") {
			t.Errorf("%q %s", s.ops[1], s.opDates[1].text())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
		d, ok := parseDatetime(c.in)
		if !ok || d.text() != c.want || !d.inRange() {
			t.Errorf("%s: %s (%v), want %s", c.in, d.text(), ok, c.want)
		}
	}
	for _, bad := range []string{"", "2026-02-31 00:00:00", "2026-01-02", "2026-01-02 25:00:00", "2026-01-02 03:04:05.", "x026-01-02 03:04:05", "1752-01-01 00:00:00"} {
		if d, ok := parseDatetime(bad); ok {
			t.Errorf("%q was read as %s", bad, d.text())
		}
	}
	a, _ := parseDatetime("2026-01-02 03:04:05.997")
	b, _ := parseDatetime("2026-01-02 03:04:06.000")
	if got := a.secondsUntil(b); got != 1 {
		t.Errorf("3 ms across a second boundary are %d s, want 1", got)
	}
}
