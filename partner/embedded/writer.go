package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// write runs a call that may write, and returns when what it wrote is durable on
// this partner and, under SAFETY FULL, on the mirror. If ctx ends while it waits
// for its turn, nothing was done.
func (d *database) write(ctx context.Context, run func(w *writer) error) error {
	t := newTicket()
	t.run = run
	return d.share(ctx, t)
}

// share waits for a common turn, and for the commit.
func (d *database) share(ctx context.Context, t *ticket) error {
	lead, err := d.turns.enter(ctx, t, false)
	if err != nil {
		return err
	}
	if lead {
		crowd := d.turns.crowd(t)
		d.runGroup(crowd)
		d.turns.leave(crowd)
	}
	return t.err
}

// alone runs f while nobody writes here. first goes before all who wait.
func (d *database) alone(ctx context.Context, first bool, f func() error) error {
	t := newTicket()
	t.alone = true
	if _, err := d.turns.enter(ctx, t, first); err != nil {
		return err
	}
	defer d.turns.leave(nil)
	return f()
}

// runGroup runs the calls one after the other and commits what they wrote, once.
func (d *database) runGroup(crowd []*ticket) {
	s := d.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := d.stillWritable(); err != nil {
		fail(crowd, err)
		return
	}
	if err := s.main.open(); err != nil {
		fail(crowd, fmt.Errorf("begin on %s: %w", d.instance.name, err))
		return
	}
	d.runCalls(crowd)
}

func fail(crowd []*ticket, err error) {
	for _, t := range crowd {
		t.err = err
	}
}

// runCalls runs them in the open transaction: what they write is written as they go, and gathered. Where one breaks the
// transaction, it is rolled back, and each call runs again in one of its own.
func (d *database) runCalls(crowd []*ticket) {
	w := d.store.main
	defer w.ends()
	for _, t := range crowd {
		var broken error
		if t.err, broken = w.run(t.run); broken == nil {
			continue
		}
		err := w.rollBack()
		w.ends()
		switch {
		case err != nil || len(crowd) == 1:
			fail(crowd, errors.Join(d.failedWrite(broken), err))
		default:
			for i := range crowd {
				if err := w.open(); err != nil {
					crowd[i].err = fmt.Errorf("begin on %s: %w", d.instance.name, err)
					continue
				}
				d.runCalls(crowd[i : i+1])
			}
		}
		return
	}
	rec, err := w.gather()
	if err != nil {
		fail(crowd, errors.Join(fmt.Errorf("collect what was written on %s: %w", d.instance.name, err), w.rollBack()))
		return
	}
	if err := d.harden(w, rec, func() error { return d.store.note(w, rec) }); err != nil {
		fail(crowd, err)
	}
}

// run runs a call in the open transaction. What the client is told is refused; broken says that nothing in the transaction
// can be kept.
func (w *writer) run(call func(w *writer) error) (refused, broken error) {
	written := w.gathered.count
	err := guarded(func() error { return call(w) })
	if lost, over := errors.AsType[*lostTransaction](err); over {
		return nil, lost.why
	}
	_, panicked := errors.AsType[*panicError](err)
	if panicked || err != nil && !isTold(err) && w.gathered.count > written {
		return nil, err
	}
	return err, nil
}

// say runs a statement without parameters that comes again.
func (w *writer) say(text string) error {
	st, err := w.query(text)
	if err == nil {
		_, err = st.exec()
	}
	if err == nil {
		w.said(text)
	}
	return err
}

// said follows what a statement about savepoints, which has run, makes of the changes to the schema that were gathered.
func (w *writer) said(text string) {
	g := &w.gathered
	if name, ok := strings.CutPrefix(text, "SAVEPOINT "); ok {
		if g.saved == nil {
			g.saved = map[string]int{}
		}
		g.saved[name] = len(g.schema)
	} else if name, ok := strings.CutPrefix(text, "ROLLBACK TO "); ok {
		g.objects = nil
		if g.saved[name] < len(g.schema) {
			g.schema = g.schema[:g.saved[name]]
			w.schemaChanged()
		}
	}
}

// isTold reports whether an error is one of SQL Server's, for the client.
func isTold(err error) bool {
	_, told := errors.AsType[*tds.Error](err)
	return told
}

// lostTransaction: SQLite has ended the transaction by itself, where there was no room. It is for nobody to catch.
type lostTransaction struct{ why error }

func (e *lostTransaction) Error() string { return "the transaction is over: " + e.why.Error() }

// stillInside is the error of a statement, or that it has cost the whole transaction.
func (w *writer) stillInside(err error) error {
	if !isNoRoom(err) {
		return err
	}
	if _, outside := w.begin.exec(); outside != nil {
		return err
	}
	return &lostTransaction{err}
}
