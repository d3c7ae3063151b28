package embedded

import (
	"context"
	"errors"
	"fmt"
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
func (p *Partner) write(ctx context.Context, run func(t *transaction) (*result, error)) (*result, error) {
	t := newTicket()
	t.run = run
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
func (p *Partner) alone(ctx context.Context, first bool, f func() error) error {
	t := newTicket()
	t.alone = true
	if _, err := p.turns.enter(ctx, t, first); err != nil {
		return err
	}
	defer p.turns.leave(nil)
	return f()
}

// runGroup runs the calls one after the other and commits what they wrote, once.
func (p *Partner) runGroup(crowd []*ticket) {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := p.serving(); err != nil {
		fail(crowd, err)
		return
	}
	if _, err := s.main.begin.exec(); err != nil {
		fail(crowd, fmt.Errorf("begin on %s: %w", p.name, err))
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

// harden makes the record durable: the heart of the promise that an acknowledged
// write survives a failover. write makes its changes in the open transaction of w;
// this ends the transaction. The caller holds the turn and the store's lock.
//
// The order: both partners work at the same time, but the mirror's commit comes
// before ours, and ours before anybody is answered. So whatever a client has seen,
// in an answer or in a read, the mirror has; and what only the mirror has was seen
// by nobody, so that either outcome is right for it.
func (p *Partner) harden(w *writer, rec *record, write func() error) error {
	if len(rec.changes) == 0 {
		_, err := w.rollback.exec()
		return err
	}
	rec.lsn = p.store.lsn.Load() + 1
	if p.forked != nil { // the mirror may have another commit of that number: it is never used again
		rec.lsn++
		rec.also = p.forked
	}
	rec.trim = p.acked.Load()
	var shipped chan error
	if m := p.mirror; m != nil {
		shipped = make(chan error, 1)
		go func() { shipped <- m.store.apply(rec) }()
	}
	err := write()
	if shipped != nil {
		if lost := <-shipped; lost != nil {
			p.loseMirror(fmt.Errorf("ship commit %d: %w", rec.lsn, lost))
		} else {
			p.acked.Store(rec.lsn)
		}
	}
	if err == nil {
		if p.beforeCommit != nil {
			p.beforeCommit(rec)
		}
		_, err = w.commit.exec()
	}
	if err != nil {
		p.undo(w, rec)
		return fmt.Errorf("commit on %s: %w", p.name, err)
	}
	p.forked = nil
	p.store.published(rec)
	if p.mirror == nil {
		p.pair.poke() // an asynchronous mirror may want it
	}
	return nil
}

// undo rolls back after a failed commit. The mirror may be ahead now: it comes
// back by way of a resynchronisation, which takes away what only it has. If we commit
// something else before that, our list of changes must name those rows too: by the
// numbers of the commits alone the partners would seem to agree.
func (p *Partner) undo(w *writer, rec *record) {
	if _, err := w.rollback.exec(); err != nil {
		p.log.Error("rollback failed", "error", err)
	}
	if p.mirror != nil {
		p.acked.Store(rec.lsn - 1)
		for _, c := range rec.changes {
			p.forked = append(p.forked, rowKey{c.table, c.key})
		}
		p.loseMirror(errors.New("the principal's own commit failed"))
	}
}

// loseMirror goes on without the mirror: the principal runs exposed. The caller
// holds the turn.
func (p *Partner) loseMirror(why error) {
	p.mirror = nil
	p.pair.linkLost(p, why)
}
