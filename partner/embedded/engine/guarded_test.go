package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// A panic fails only its own request. The requests that share its commit, and later ones, succeed.
func TestGuarded_onlyTheOneThatPanics(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	panics := func(w *storage.Writer) error {
		if err := w.Script("INSERT INTO ASPStateTempApplications VALUES (666, 'x')"); err != nil {
			return err
		}
		panic("a fault")
	}
	ended := make(chan error, 32)
	for i := range cap(ended) {
		go func() {
			if i%2 == 0 {
				err := p.Main().Write(context.Background(), panics)
				if _, panicked := errors.AsType[*storage.PanicError](err); !panicked {
					ended <- fmt.Errorf("the request that panicked: %v", err)
					return
				}
				ended <- nil
				return
			}
			ended <- storeApplication(p, int32(i), fmt.Sprint("n", i))
		}()
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	err := p.Main().Exclusively(t.Context(), func(*storage.Writer) error { panic("another") })
	if _, panicked := errors.AsType[*storage.PanicError](err); !panicked {
		t.Errorf("alone: %v", err)
	}
	for _, q := range pair.Partners {
		err := q.Main().Store.Read(func(r *storage.Reader) error {
			n, err := r.Number("SELECT COUNT(*) * 1000 + COALESCE(SUM(AppId = 666), 0) FROM ASPStateTempApplications")
			if err == nil && n != int64(cap(ended)/2*1000) {
				t.Errorf("%s has %d", q.Letter, n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	session := &session{p: p}
	if err := session.guarded(func() error { panic("in a request") }); err == nil {
		t.Error("a panic of a request did not become an error")
	}
}

// A panic while rows are read leaves no statement open, which would keep the connection's transaction open.
func TestGuarded_whileRowsAreRead(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	for range 2 {
		err := p.Main().Write(t.Context(), func(w *storage.Writer) error {
			if err := w.Script("INSERT INTO ASPStateTempApplications VALUES (666, 'x')"); err != nil {
				return err
			}
			st, err := w.Query("SELECT 1 UNION ALL SELECT 2")
			if err != nil {
				return err
			}
			return st.Each(nil, func([]driver.Value) error { panic("a fault") })
		})
		if _, panicked := errors.AsType[*storage.PanicError](err); !panicked {
			t.Fatalf("%v", err)
		}
	}
	storeItem(t, p, "s", []byte("x"))
	out, _, err := runBody(t.Context(), t, p, "SELECT @out = COUNT(*) FROM ASPStateTempApplications WHERE AppId = 666")
	if err != nil || out != "0" || sessions(t, p) != 1 {
		t.Errorf("%v rows of the failed request exist, %v", out, err)
	}
	meet(t, pair)
}
