package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// longTurn is for how long a procedure of many statements keeps others waiting at a time.
const longTurn = 10 * time.Millisecond

// takesLong tells whether a procedure may have very many statements, each a transaction of its own: it goes through a
// cursor, or writes in a loop, and never begins a transaction.
func takesLong(list []tsql.Statement) bool {
	loops, begins := false, false
	eachStatement(list, func(st tsql.Statement, inLoop bool) {
		switch st := st.(type) {
		case *tsql.DeclareCursor:
			loops = true
		case *tsql.Query:
			loops = loops || inLoop && st.Kind != tsql.Select
		case *tsql.Transaction:
			begins = begins || st.Action == tsql.BeginTransaction
		}
	}, false)
	return loops && !begins
}

// eachStatement visits statements, and those within them.
func eachStatement(list []tsql.Statement, visit func(st tsql.Statement, inLoop bool), inLoop bool) {
	for _, st := range list {
		visit(st, inLoop)
		switch st := st.(type) {
		case *tsql.If:
			eachStatement(st.Then, visit, inLoop)
			eachStatement(st.Else, visit, inLoop)
		case *tsql.While:
			eachStatement(st.Body, visit, true)
		case *tsql.Try:
			eachStatement(st.Body, visit, inLoop)
			eachStatement(st.Catch, visit, inLoop)
		}
	}
}

// longTurns are the turns of a procedure that takes long: between two statements it lets others write.
type longTurns struct {
	waits func(context.Context) (context.Context, context.CancelFunc) // how long for its turn
	d     *database
	began time.Time // of this turn; zero: it has none
}

// runLong runs a call that takes long, alone among its like: its temporary tables are the connection's.
func (d *database) runLong(ctx context.Context, waits func(context.Context) (context.Context, context.CancelFunc), run func(w *writer, l *longTurns) error) error {
	select {
	case d.long <- struct{}{}:
		defer func() { <-d.long }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l := &longTurns{waits: waits, d: d}
	if err := l.take(ctx); err != nil {
		return err
	}
	if err := d.store.main.dropLocals(); err != nil { // of one that did not get its turn again
		return errors.Join(err, l.give(true))
	}
	refused := guarded(func() error { return run(d.store.main, l) })
	if l.began.IsZero() {
		return refused // it did not get its turn again
	}
	if _, panicked := errors.AsType[*panicError](refused); panicked {
		return errors.Join(refused, l.give(true))
	}
	if lost, over := errors.AsType[*lostTransaction](refused); over {
		return errors.Join(d.failedWrite(lost.why), l.give(true))
	}
	return errors.Join(l.give(false), refused)
}

// take waits for the turn, and opens a transaction.
func (l *longTurns) take(ctx context.Context) error {
	ctx, cancel := l.waits(ctx)
	defer cancel()
	t := newTicket()
	t.alone = true
	if _, err := l.d.turns.enter(ctx, t, false); err != nil {
		return err
	}
	l.d.store.mu.Lock()
	err := l.d.stillWritable()
	if err == nil {
		if err = l.d.store.main.open(); err != nil {
			err = fmt.Errorf("begin on %s: %w", l.d.instance.name, err)
		}
	}
	if err != nil {
		l.leave()
		return err
	}
	l.began = time.Now()
	return nil
}

// give makes durable what was written in the turn, and passes it on. lost says that there is nothing: the transaction is over.
func (l *longTurns) give(lost bool) error {
	defer l.leave()
	w := l.d.store.main
	if lost {
		defer w.ends()
		return w.rollBack()
	}
	return l.d.hardenGathered(w)
}

func (l *longTurns) leave() {
	l.began = time.Time{}
	l.d.store.mu.Unlock()
	l.d.turns.leave(nil)
}

// pause lets others write, if the turn has been long enough.
func (l *longTurns) pause(ctx context.Context) error {
	if time.Since(l.began) < longTurn {
		return nil
	}
	if err := l.give(false); err != nil {
		return err
	}
	return l.take(ctx)
}

// dropLocals drops the temporary tables and table variables of procedures.
func (w *writer) dropLocals() error {
	st, err := w.query("SELECT name FROM temp.sqlite_schema WHERE type = 'table' AND substr(name, 1, 1) IN ('#', '@')")
	if err != nil {
		return err
	}
	var text strings.Builder
	v := w.buffer[:1]
	err = st.rows(v, func() bool {
		name, _ := v[0].(string)
		text.WriteString("DROP TABLE temp." + quoted(name) + ";")
		return true
	})
	if err != nil || text.Len() == 0 {
		return err
	}
	return w.script(text.String())
}
