package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// longTurn is for how long a procedure of many statements keeps others waiting at a time.
const longTurn = 10 * time.Millisecond

// LongTurns are the turns of a procedure that takes long: between two statements it lets others write.
type LongTurns struct {
	Waits func(context.Context) (context.Context, context.CancelFunc) // how long for its turn
	D     *Database
	Began time.Time // of this turn; zero: it has none
	w     *storage.Writer
}

// RunLong runs a call that takes long, alone among its like, on a connection of its own: its temporary tables are the connection's.
func (d *Database) RunLong(ctx context.Context, waits func(context.Context) (context.Context, context.CancelFunc), run func(w *storage.Writer, l *LongTurns) error) error {
	select {
	case d.long <- struct{}{}:
		defer func() { <-d.long }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l := &LongTurns{Waits: waits, D: d}
	if err := l.Take(ctx); err != nil {
		return err
	}
	if err := l.w.DropLocals(); err != nil { // of one that did not get its turn again
		return errors.Join(err, l.give(true))
	}
	refused := storage.RecoverPanic(func() error { return run(l.w, l) })
	if l.Began.IsZero() {
		return refused // it did not get its turn again
	}
	if _, panicked := errors.AsType[*storage.PanicError](refused); panicked {
		return errors.Join(refused, l.give(true))
	}
	if lost, over := errors.AsType[*storage.LostTransaction](refused); over {
		return errors.Join(d.FailedWrite(lost.Why), l.give(true))
	}
	return errors.Join(l.give(false), refused)
}

// Take waits for the turn, and opens a transaction.
func (l *LongTurns) Take(ctx context.Context) error {
	ctx, cancel := l.Waits(ctx)
	defer cancel()
	t := NewTicket()
	t.alone = true
	if _, err := l.D.Turns.Enter(ctx, t, false); err != nil {
		return err
	}
	l.D.Store.Mu.Lock()
	err := l.D.stillWritable()
	if err == nil {
		if l.w, err = l.D.Store.Long(); err == nil {
			err = l.w.Open()
		}
		if err != nil {
			err = fmt.Errorf("begin on %s: %w", l.D.Instance.Letter, err)
		}
	}
	if err != nil {
		l.leave()
		return err
	}
	l.Began = time.Now()
	return nil
}

// give makes durable what was written in the turn, and passes it on. lost says that there is nothing: the transaction is over.
func (l *LongTurns) give(lost bool) error {
	defer l.leave()
	w := l.w
	if lost {
		defer w.ForgetGathered()
		return w.RollBack()
	}
	return l.D.hardenGathered(w)
}

func (l *LongTurns) leave() {
	l.Began = time.Time{}
	l.D.Store.Mu.Unlock()
	l.D.Turns.Leave(nil)
}

// Pause lets others write, if the turn has been long enough.
func (l *LongTurns) Pause(ctx context.Context) error {
	if time.Since(l.Began) < longTurn {
		return nil
	}
	if err := l.give(false); err != nil {
		return err
	}
	return l.Take(ctx)
}
