package aspstate

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// How long an installation waits for locks. A statement that gets no lock within a second fails (install/session.sql).
// Its step is then repeated after a rest, which grows, so that live calls are served first.
const (
	firstRest = 200 * time.Millisecond
	longRest  = 5 * time.Second
	// batchTime bounds one batch. Batches are short: an ALTER TABLE of nullable columns changes no row, and a DROP TABLE
	// only frees pages.
	batchTime = 60 * time.Second
)

// SQL Server's error numbers for a step that is repeated.
const (
	errLockTimeout = 1222 // a lock was not granted in time
	errDeadlock    = 1205 // the victim of a deadlock
	errModelInUse  = 1807 // CREATE DATABASE while the database model is in use; 1802 follows
)

// Run sends the script over conn. If a step gets no lock, or is the victim of a deadlock, it is rolled back and repeated
// until ctx ends. Run reports each step and each repetition to progress. A step is applied as a whole or not at all.
// After an error, the steps before the failed one have been applied, and the script may be planned and run again.
func (s Script) Run(ctx context.Context, conn *sql.Conn, progress func(text string)) error {
	for _, sec := range s.sections() {
		if sec.title != "" {
			progress(sec.title)
		}
		if err := sec.run(ctx, conn, progress); err != nil {
			if sec.title != "" {
				err = fmt.Errorf("%s: %w", sec.title, err)
			}
			return explain(err)
		}
	}
	return nil
}

// run sends a section, and repeats it if it meets locks.
func (sec section) run(ctx context.Context, conn *sql.Conn, progress func(text string)) error {
	for rest := firstRest; ; rest = min(2*rest, longRest) {
		err := sec.once(ctx, conn)
		number := passing(err)
		if number == 0 {
			return err
		}
		progress(fmt.Sprintf("other sessions hold a lock (%d); nothing was changed, trying again in %s", number, rest))
		wait := time.NewTimer(rest)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("%w; gave up waiting: %w", err, context.Cause(ctx))
		}
	}
}

// passing returns the number of a temporary error; 0 for another error.
func passing(err error) int32 {
	for _, number := range errorNumbers(err) {
		if number == errLockTimeout || number == errDeadlock || number == errModelInUse {
			return number
		}
	}
	return 0
}

// once sends a section. After an error it rolls the transaction back.
func (sec section) once(ctx context.Context, conn *sql.Conn) error {
	for _, batch := range sec.batches {
		if err := sendBatch(ctx, conn, batch); err != nil {
			// It has a timeout of its own, because ctx may have ended. A broken connection is rolled back by the
			// server.
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
			defer cancel()
			_, _ = conn.ExecContext(undo, "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")
			return err
		}
	}
	return nil
}

func sendBatch(ctx context.Context, conn *sql.Conn, batch string) error {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	_, err := conn.ExecContext(ctx, batch)
	return err
}
