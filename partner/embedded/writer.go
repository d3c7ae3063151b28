package embedded

import (
	"context"
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
func (p *database) write(ctx context.Context, run func(t *transaction) (*result, error)) (*result, error) {
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
