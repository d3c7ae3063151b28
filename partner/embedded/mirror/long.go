package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// longTurn is the longest time for which a procedure of many statements holds the turn.
const longTurn = 10 * time.Millisecond

// LongTurns holds the turns of a long procedure. Between two statements the procedure lets others write.
type LongTurns struct {
	Waits func(context.Context) (context.Context, context.CancelFunc) // limits the wait for a turn
	D     *Database
	Began time.Time // when the turn began; zero: it has no turn
	w     *storage.Writer
}

// RunLong runs a long call on a connection of its own, one long call at a time. Its temporary tables belong to that
// connection.
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
	if err := l.w.DropLocals(); err != nil { // tables left by a call that did not get another turn
		return errors.Join(err, l.give(true))
	}
	refused := storage.RecoverPanic(func() error { return run(l.w, l) })
	if l.Began.IsZero() {
		return refused // the call did not get another turn
	}
	if _, panicked := errors.AsType[*storage.PanicError](refused); panicked {
		return errors.Join(refused, l.give(true))
	}
	if lost, over := errors.AsType[*storage.LostTransaction](refused); over {
		return errors.Join(d.FailedWrite(lost.Why), l.give(true))
	}
	return errors.Join(l.give(false), refused)
}

// Take waits for the turn, and begins a transaction.
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

// give commits the writes of the turn durably, and releases the turn. lost means that the transaction has ended
// already, so that there is nothing to commit.
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

// Pause lets others write, if the turn has lasted long enough.
func (l *LongTurns) Pause(ctx context.Context) error {
	if time.Since(l.Began) < longTurn {
		return nil
	}
	if err := l.give(false); err != nil {
		return err
	}
	return l.Take(ctx)
}
