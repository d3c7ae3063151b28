package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// group is what the calls of one commit have changed so far. It belongs to the
// holder of the turn.
type group struct {
	rows    map[rowKey]row
	order   []rowKey
	changes []change
}

// take adds what a call has put.
func (g *group) take(own []change) {
	if g.rows == nil {
		g.rows = map[rowKey]row{}
	}
	for _, c := range own {
		k := rowKey{c.table, c.key}
		if _, again := g.rows[k]; !again {
			g.order = append(g.order, k)
		}
		g.rows[k] = c.row
	}
}

// record is the group as one record: each row once, as it is in the end.
func (g *group) record() []change {
	for _, k := range g.order {
		g.changes = append(g.changes, change{table: k.table, key: k.key, row: g.rows[k]})
	}
	return g.changes
}

func (g *group) reset() {
	clear(g.rows)
	g.order = g.order[:0]
	clear(g.changes)
	g.changes = g.changes[:0]
}

// write runs a call that may write, and returns when what it wrote is durable on
// this partner and, under SAFETY FULL, on the mirror. If ctx ends while it waits
// for its turn, nothing was done.
func (p *database) write(ctx context.Context, run func(t *transaction) (*result, error)) (*result, error) {
	t := newTicket()
	t.run = run
	return p.share(ctx, t)
}

// writeText is write for a procedure that runs as its text says.
func (p *database) writeText(ctx context.Context, text func(w *writer) (*result, error)) (*result, error) {
	t := newTicket()
	t.text = text
	return p.share(ctx, t)
}

// share waits for a common turn, and for the commit.
func (p *database) share(ctx context.Context, t *ticket) (*result, error) {
	lead, err := p.turns.enter(ctx, t, false)
	if err != nil {
		return nil, err
	}
	if lead {
		crowd := p.turns.crowd(t)
		p.runGroup(crowd)
		p.turns.leave(crowd)
	}
	return t.result, t.err
}

// alone runs f while nobody writes here. first goes before all who wait.
func (p *database) alone(ctx context.Context, first bool, f func() error) error {
	t := newTicket()
	t.alone = true
	if _, err := p.turns.enter(ctx, t, first); err != nil {
		return err
	}
	defer p.turns.leave(nil)
	return f()
}

// runGroup runs the calls one after the other and commits what they wrote, once.
func (p *database) runGroup(crowd []*ticket) {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := p.stillWritable(); err != nil {
		fail(crowd, err)
		return
	}
	if _, err := s.main.begin.exec(); err != nil {
		fail(crowd, fmt.Errorf("begin on %s: %w", p.name, err))
		return
	}
	if slices.ContainsFunc(crowd, func(t *ticket) bool { return t.text != nil }) {
		p.runTexts(crowd)
		return
	}
	g := &p.group
	defer g.reset()
	for _, t := range crowd {
		tx := newTransaction(s.main.reader, g.rows, s.epoch.Load())
		t.result, t.err = t.run(tx)
		if t.err == nil {
			g.take(tx.own)
		}
	}
	rec := &record{changes: g.record()}
	if err := p.harden(s.main, rec, func() error { return s.write(s.main, rec) }); err != nil {
		fail(crowd, err)
	}
}

func fail(crowd []*ticket, err error) {
	for _, t := range crowd {
		t.result, t.err = nil, err
	}
}

// runTexts is runGroup where procedures run as their texts say: what they write is written as they go, and gathered.
func (p *database) runTexts(crowd []*ticket) {
	w := p.store.main
	if err := w.gathered.begin(w.conn); err != nil {
		fail(crowd, errors.Join(err, w.rollBack()))
		return
	}
	defer w.gathered.end()
	for _, t := range crowd {
		var err error
		if t.text != nil {
			t.result, t.err, err = w.runText(t.text, len(crowd) > 1)
		} else {
			t.result, t.err, err = w.runTwin(t.run)
		}
		if err != nil { // the transaction is not what it was
			fail(crowd, errors.Join(err, w.rollBack()))
			return
		}
	}
	changes, err := w.gather()
	if err != nil {
		fail(crowd, errors.Join(fmt.Errorf("collect what was written on %s: %w", p.name, err), w.rollBack()))
		return
	}
	rec := &record{changes: changes}
	if err := p.harden(w, rec, func() error { return p.store.note(w, rec) }); err != nil {
		fail(crowd, err)
	}
}

// runText runs a call in the open transaction, which is shared with others or its own. What the client is told is refused; broken
// says that nothing in the transaction can be kept.
func (w *writer) runText(text func(w *writer) (*result, error), shared bool) (r *result, refused, broken error) {
	if shared {
		if err := w.say("SAVEPOINT call"); err != nil {
			return nil, nil, err
		}
	}
	r, err := text(w)
	switch {
	case err == nil || isTold(err):
		if shared {
			broken = w.say("RELEASE call")
		}
		return r, err, broken
	case shared:
		return nil, err, errors.Join(w.say("ROLLBACK TO call"), w.say("RELEASE call"))
	}
	return nil, nil, err
}

// say runs a statement without parameters that comes again.
func (w *writer) say(text string) error {
	st, err := w.query(text)
	if err == nil {
		_, err = st.exec()
	}
	return err
}

// isTold reports whether an error is one of SQL Server's, for the client.
func isTold(err error) bool {
	_, told := errors.AsType[*tds.Error](err)
	return told
}

// inside reports whether the transaction is still open: SQLite may have ended it where there was no room.
func (w *writer) inside() bool {
	_, err := w.begin.exec()
	return err != nil
}

// runTwin runs a call whose rows are written at once.
func (w *writer) runTwin(run func(t *transaction) (*result, error)) (r *result, refused, broken error) {
	e, err := w.row(tableEpoch, epochKey) // an earlier call may have changed it
	if err != nil {
		return nil, nil, err
	}
	tx := newTransaction(w.reader, nil, nil)
	tx.epoch, _ = e.(*epochRow)
	if r, err = run(tx); err != nil {
		return nil, err, nil
	}
	for _, c := range tx.own {
		if err := w.put(c); err != nil {
			return nil, nil, err
		}
	}
	return r, nil, nil
}
