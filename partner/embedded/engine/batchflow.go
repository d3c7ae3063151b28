package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// runText runs the statements of a text, up to the first error that ends the batch.
func (b *batch) runText(ctx context.Context, text string) error {
	if taken, err := b.s.p.planted.intercept(text); taken {
		return err
	}
	b.text = text
	list, err := b.s.p.texts.parse(text, b.s, b.types)
	for at := 0; err == nil && at < len(list); at++ {
		var end ending
		if end, err = b.runAll(ctx, list[at:at+1]); err != nil || end != completed {
			return err
		}
		if _, defined := list[at].(*tsql.Definition); defined && at+1 < len(list) { // the next statements may use the new object
			list, err = b.s.p.texts.parse(text, b.s, b.types)
		}
	}
	return err
}

// runAll runs statements until one ends the batch.
func (b *batch) runAll(ctx context.Context, list []tsql.Statement) (ending, error) {
	for _, st := range list {
		if err := b.countStatement(ctx); err != nil {
			return returns, err
		}
		end, err := b.run(ctx, st)
		if err != nil {
			if err = b.continuesAfter(st, err); err != nil {
				return returns, err
			}
			continue
		}
		if end != completed {
			return end, nil
		}
	}
	return completed, nil
}

// countStatement counts a statement of the request, or a further iteration of a loop.
func (b *batch) countStatement(ctx context.Context) error {
	if b.s.ran++; b.s.ran > maxStatements {
		return sqlerror.NotSupported("A batch that runs more than %d statements", maxStatements)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.s.at.ctx = ctx
	return nil
}

// statementErrors are the errors after which a batch or a procedure continues with the next statement, if XACT_ABORT is
// OFF and no TRY block encloses it. Source: the manual's SET XACT_ABORT, SET ARITHABORT and "Database engine events and
// errors".
var statementErrors = map[int32]bool{
	201: true, 220: true, 266: true, 512: true, 515: true, 547: true, 628: true, 2601: true, 2627: true, 2628: true, 2812: true, 3701: true,
	3902: true, 3903: true, 6401: true, 8115: true, 8134: true, 8152: true, 8144: true, 8145: true,
}

// endsAll reports whether an error of a statement, outside of TRY, ends the batch or procedure of the statement. THROW
// always does.
func endsAll(st tsql.Statement, e *tds.Error) bool {
	_, thrown := st.(*tsql.Throw)
	if _, calls := st.(*tsql.Exec); calls && scopeErrors[e.Number] && e.Proc != "" {
		return false
	}
	return thrown || e.Class > 16 || !statementErrors[e.Number]
}

// scopeErrors are the errors of names that do not exist when the statement runs. They end the procedure of the
// statement, and its caller continues.
var scopeErrors = map[int32]bool{noColumn: true, noObject: true, 4121: true}

// abortingErrors are the errors that always roll back the open transaction, even if XACT_ABORT is OFF: conversions that
// fail.
var abortingErrors = map[int32]bool{241: true, 242: true, 245: true}

// continuesAfter decides whether the text continues after the error of a statement. If so, it sends the error to the
// client and returns nil.
func (b *batch) continuesAfter(st tsql.Statement, err error) error {
	e, ok := errors.AsType[*tds.Error](err)
	if !ok {
		return err
	}
	if e.Line == 0 && !isTriggerError(err) {
		placed := *e
		placed.Line = int32(st.Line())
		if _, several := errors.AsType[tds.Errors](err); !several {
			e, err = &placed, &placed
		}
	}
	s := b.s
	s.lastError = e.Number
	if isTriggerError(err) || s.endedInTrigger {
		setEndLine(err, st.Line())
		return b.endAfterTriggerError(err)
	}
	if s.over && !(s.aborts && s.open > 0) {
		return err
	}
	switch _, raised := st.(*tsql.RaiseError); {
	case e.Class >= sqlerror.FatalClass:
		return err
	case s.open > 0 && !raised && s.abortsFor(e):
		if b.tries > 0 {
			s.doomed = true
		} else {
			s.rollback(b.w)
		}
		s.over = b.tries == 0
		return err
	case b.tries > 0, s.has(optionXactAbort), endsAll(st, e):
		s.over = b.tries == 0
		return err
	}
	b.failed = e.Number
	b.w.Error(e)
	return nil
}

// aborts rolls back the open transaction after the error of a call outside of a text, if XACT_ABORT is ON.
func (b *batch) aborts(err error) error {
	if isTriggerError(err) || b.s.endedInTrigger {
		return b.endAfterTriggerError(err)
	}
	if e, ok := errors.AsType[*tds.Error](err); ok && e.Class < sqlerror.FatalClass && b.s.open > 0 && b.s.abortsFor(e) {
		b.s.rollback(b.w)
	}
	return err
}

// abortsFor reports whether an error rolls back the open transaction of a batch.
func (s *session) abortsFor(e *tds.Error) bool {
	return e.Number != unsupported && (s.has(optionXactAbort) || s.aborts || abortingErrors[e.Number])
}

// unsupported is the number of errors for features that this server does not have; see [sqlerror.NotSupported].
const unsupported = 40510

// run runs a statement.
func (b *batch) run(ctx context.Context, st tsql.Statement) (ending, error) {
	s := b.s
	if s.skips(st) {
		return completed, nil
	}
	if err := s.checkOptions(st); err != nil {
		return completed, err
	}
	if s.set.fmtOnly {
		return completed, b.describe(ctx, st)
	}
	if startsTransaction(st) {
		b.beginImplicitly()
	}
	switch st := st.(type) {
	case *tsql.If:
		yes, err := b.evaluateCondition(st.Condition)
		switch {
		case err != nil:
			return completed, err
		case yes:
			return b.runAll(ctx, st.Then)
		}
		return b.runAll(ctx, st.Else)
	case *tsql.While:
		return b.loop(ctx, st)
	case *tsql.Break:
		return breaks, nil
	case *tsql.Continue:
		return continues, nil
	case *tsql.Return:
		return returns, nil
	case *tsql.Try:
		return b.try(ctx, st)
	case *tsql.Throw:
		return completed, b.throw(st)
	}
	err := b.do(ctx, st)
	if err == nil {
		b.setRowCount(st)
	}
	return completed, err
}

// setRowCount sets @@ROWCOUNT and @@ERROR after a successful statement, unless the statement sets them itself. Source:
// the manual's @@ROWCOUNT.
func (b *batch) setRowCount(st tsql.Statement) {
	if _, raised := st.(*tsql.RaiseError); !raised {
		b.s.lastError = 0
	}
	switch st.(type) {
	case *tsql.Assign:
		b.s.rowCount = 1
	case *tsql.SetOption, *tsql.Use, *tsql.Print, *tsql.RaiseError, *tsql.Transaction:
		b.s.rowCount = 0
	}
}

// do runs a statement that is not control of flow.
func (b *batch) do(ctx context.Context, st tsql.Statement) error {
	switch st := st.(type) {
	case *tsql.Query:
		return b.query(ctx, st)
	case *tsql.Merge:
		return b.merge(ctx, st)
	case *tsql.Exec:
		return b.exec(ctx, st)
	case *tsql.Declare:
		return b.declare(st)
	case *tsql.Assign:
		return b.assign(st)
	case *tsql.RaiseError:
		return b.raise(st)
	case *tsql.CreateLocal:
		return b.createLocal(st)
	}
	err := b.doUncounted(ctx, st)
	if list, ok := st.(*tsql.Restore); err == nil && (!ok || list.What != "FILELISTONLY") {
		b.w.DoneCommand(commandOf(st), noCount)
	}
	return err
}

// doUncounted runs a statement that ends with a DONE without a count.
func (b *batch) doUncounted(ctx context.Context, st tsql.Statement) error {
	switch st := st.(type) {
	case *tsql.SetOption:
		return b.setOption(st)
	case *tsql.Use:
		return b.use(st.Database)
	case *tsql.Transaction:
		return b.transaction(st)
	case *tsql.AlterDatabase:
		return b.alterDatabase(ctx, st)
	case *tsql.Definition:
		return b.define(ctx, st)
	case *tsql.Grant:
		return b.grant(ctx, st)
	case *tsql.ServerObject:
		return b.serverObject(ctx, st)
	case *tsql.Backup:
		return b.backup(ctx, st)
	case *tsql.Restore:
		return b.restore(ctx, st)
	case *tsql.Print:
		return b.print(st)
	case *tsql.DropLocal:
		return b.dropLocal(st)
	}
	return sqlerror.NotSupported("This statement")
}

// commandOf returns the command of the statement's DONE.
func commandOf(st tsql.Statement) tds.Command {
	switch st := st.(type) {
	case *tsql.Query:
		return [...]tds.Command{tds.CommandSelect, tds.CommandInsert, tds.CommandUpdate, tds.CommandDelete}[st.Kind]
	case *tsql.Grant:
		if st.Verb == "GRANT" {
			return tds.CommandGrant
		}
		return tds.CommandRevoke
	case *tsql.Definition:
		return definitionCommands[st.Verb+" "+st.Kind]
	case *tsql.DropLocal:
		return tds.CommandDropTable
	}
	return tds.CommandNone
}

var definitionCommands = map[string]tds.Command{
	"CREATE TABLE": tds.CommandCreateTable, "ALTER TABLE": tds.CommandAlterTable, "DROP TABLE": tds.CommandDropTable,
	"CREATE INDEX": tds.CommandCreateIndex, "DROP INDEX": tds.CommandDropIndex,
	"CREATE VIEW": tds.CommandCreateView, "DROP VIEW": tds.CommandDropView,
	"CREATE PROCEDURE": tds.CommandCreateProcedure, "ALTER PROCEDURE": tds.CommandCreateProcedure, "DROP PROCEDURE": tds.CommandDropProcedure,
	"CREATE DATABASE": tds.CommandCreateDatabase, "DROP DATABASE": tds.CommandDropDatabase,
}

func (b *batch) print(st *tsql.Print) error {
	v, err := b.evaluate(st.Value)
	if err == nil {
		text, _ := sqlvalue.TextOf(v)
		b.w.Info(&tds.Error{Class: 0, State: 1, Message: text, Line: int32(st.Line())})
	}
	return err
}

// evaluateCondition evaluates a condition; @@ROWCOUNT and @@ERROR are 0 afterwards.
func (b *batch) evaluateCondition(e tsql.Expr) (bool, error) {
	v, err := b.evaluate(e)
	if err != nil {
		return false, err
	}
	b.s.rowCount, b.s.lastError = 0, 0
	n, ok := sqlvalue.IntegerOf(v, 0, 1)
	return ok && n == 1, nil
}

func (b *batch) loop(ctx context.Context, st *tsql.While) (ending, error) {
	for {
		if err := b.countStatement(ctx); err != nil {
			return returns, err
		}
		yes, err := b.evaluateCondition(st.Condition)
		if err != nil || !yes {
			return completed, err
		}
		switch end, err := b.runAll(ctx, st.Body); {
		case err != nil || end == returns:
			return end, err
		case end == breaks:
			return completed, nil
		}
	}
}

func (b *batch) try(ctx context.Context, st *tsql.Try) (ending, error) {
	b.tries++
	end, err := b.runAll(ctx, st.Body)
	b.tries--
	if err == nil {
		return end, nil
	}
	e, ok := errors.AsType[*tds.Error](err)
	if !ok || e.Class >= sqlerror.FatalClass || e.Number == unsupported || e.Number == noObject && e.Proc == "" && e != b.below || ctx.Err() != nil {
		return returns, err // an unsupported feature is reported to the client, whatever block encloses it
	}
	b.s.over = false
	b.caught = append(b.caught, e)
	defer func() { b.caught = b.caught[:len(b.caught)-1] }()
	return b.runAll(ctx, st.Catch)
}

// throw runs THROW, which ends the batch. Outside of TRY and under XACT_ABORT it also ends the transaction.
func (b *batch) throw(st *tsql.Throw) error {
	if st.Number == nil {
		if len(b.caught) == 0 {
			return sqlerror.New(10704, 15, "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.")
		}
		again := *b.caught[len(b.caught)-1]
		return &again
	}
	return thrown(b, st)
}

// thrown returns the error of a THROW with arguments.
func thrown(b *batch, st *tsql.Throw) error {
	v, err := b.evaluateAll(*st.Number, *st.Message, *st.State)
	if err != nil {
		return err
	}
	number, ok := sqlvalue.IntegerOf(v[0], -1<<31, 1<<31-1)
	if !ok || number < 50000 {
		return sqlerror.New(35100, 16, "Error number %v in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647.", v[0])
	}
	text, _ := sqlvalue.TextOf(v[1])
	state, _ := sqlvalue.IntegerOf(v[2], 0, 255)
	return &tds.Error{Number: int32(number), Class: 16, State: uint8(state), Message: text}
}

// evaluateAll evaluates expressions in order.
func (b *batch) evaluateAll(list ...tsql.Expr) ([]any, error) {
	values := make([]any, len(list))
	for i, e := range list {
		var err error
		if values[i], err = b.evaluate(e); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// raise runs RAISERROR: below severity 11 a message, otherwise an error. The batch continues after both, except within
// TRY.
func (b *batch) raise(st *tsql.RaiseError) error {
	v, err := b.evaluateAll(append([]tsql.Expr{st.Message, st.Severity, st.State}, st.Args...)...)
	if err != nil {
		return err
	}
	e, err := sqlvalue.Raised(v, int32(st.Line()))
	if err != nil {
		return err
	}
	if e.Class <= 10 {
		b.s.lastError = errorNumber(st, e)
		b.w.Info(e)
		b.w.DoneCommand(tds.CommandNone, noCount)
		return nil
	}
	b.s.lastError = e.Number
	if b.tries > 0 || e.Class >= sqlerror.FatalClass {
		return e
	}
	b.w.Error(e)
	return nil
}

// errorNumber returns @@ERROR after a RAISERROR.
func errorNumber(st *tsql.RaiseError, e *tds.Error) int32 {
	if st.SetError {
		return e.Number
	}
	return 0
}

// describe sends the metadata of a statement while FMTONLY is ON: the columns of queries, in all branches.
func (b *batch) describe(ctx context.Context, st tsql.Statement) error {
	switch st := st.(type) {
	case *tsql.SetOption:
		return b.do(ctx, st)
	case *tsql.Declare:
		for _, v := range st.Vars {
			if err := b.declareOne(v); err != nil {
				return err
			}
		}
	case *tsql.Query:
		if st.Kind == tsql.Select && st.Assigns == nil {
			return b.query(ctx, st)
		}
		_, err := b.checkTables(&st.Inputs, st.Kind)
		return err
	case *tsql.If:
		return b.describeAll(ctx, st.Then, st.Else)
	case *tsql.While:
		return b.describeAll(ctx, st.Body)
	case *tsql.Try:
		return b.describeAll(ctx, st.Body, st.Catch)
	case *tsql.Exec: // sp_executesql: checkOptions has refused all others
		return b.exec(ctx, st)
	}
	return nil
}

func (b *batch) describeAll(ctx context.Context, lists ...[]tsql.Statement) error {
	for _, list := range lists {
		if _, err := b.runAll(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// rowLimitReached reports whether a query has returned as many rows as it may: ROWCOUNT rows, or none while FMTONLY is
// ON.
func (s *session) rowLimitReached(n int64) bool {
	return s.set.fmtOnly || s.set.rowLimit > 0 && n >= s.set.rowLimit
}

// withRowLimit returns the write of a statement under SET ROWCOUNT: a write of more rows than the limit is refused and
// changes none.
func (s *session) withRowLimit(q *tsql.Query, changed *int64, write func(w *storage.Writer) error) func(w *storage.Writer) error {
	if s.set.rowLimit == 0 {
		return write
	}
	return func(w *storage.Writer) error {
		if err := w.RunCached("SAVEPOINT limited"); err != nil {
			return err
		}
		err := write(w)
		if err == nil && *changed > s.set.rowLimit {
			err = errors.Join(sqlerror.NotSupported("%s of more rows than SET ROWCOUNT %d (TOP)", q.Kind, s.set.rowLimit), w.RunCached("ROLLBACK TO limited"))
		}
		return errors.Join(err, w.RunCached("RELEASE limited"))
	}
}

// beginRequest prepares the session for a request.
func (s *session) beginRequest(w *tds.Response) {
	s.ran, s.over, s.aborts = 0, false, false
	w.TextSize(s.set.textSize)
}

// endRequest returns the result of a request: err, and an error about the transaction that the request leaves open.
func (s *session) endRequest(w *tds.Response, err error) error {
	s.endCaller()
	if !s.doomed {
		return err
	}
	s.rollback(w)
	why := sqlerror.New(3998, 16, "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.")
	if err == nil {
		return why
	}
	if e, ok := errors.AsType[*tds.Error](err); ok {
		return tds.Errors{e, why}
	}
	return fmt.Errorf("%w; %v", err, why.Message)
}

// sessionValue returns a value of the batch, or of its session's options and transaction.
func (b *batch) sessionValue(name string) (any, bool) {
	s := b.s
	switch name {
	case "@@TRANCOUNT":
		return int64(s.open), true
	case "XACT_STATE":
		if s.doomed {
			return int64(-1), true
		}
		return int64(min(s.open, 1)), true
	case "@@OPTIONS":
		return s.bits(), true
	case "@@TEXTSIZE":
		return s.shownTextSize(), true
	case "@@LOCK_TIMEOUT":
		return max(-1, s.lockTimeout.Milliseconds()), true
	case "@@DATEFIRST":
		return int64(7), true
	case "@@LANGUAGE":
		return "us_english", true
	case "@@LANGID":
		return int64(0), true
	case "@@NESTLEVEL":
		return int64(b.depth), true
	}
	if strings.HasPrefix(name, "ERROR_") {
		return errorValue(name, b.caught), true
	}
	return nil, false
}

// errorValue returns the value of ERROR_NUMBER() and the related functions in the CATCH block of the last of caught;
// nil outside of CATCH.
func errorValue(name string, caught []*tds.Error) any {
	if len(caught) == 0 {
		return nil
	}
	e := caught[len(caught)-1]
	switch strings.ToUpper(name) {
	case "ERROR_NUMBER":
		return int64(e.Number)
	case "ERROR_SEVERITY":
		return int64(e.Class)
	case "ERROR_STATE":
		return int64(e.State)
	case "ERROR_LINE":
		return int64(e.Line)
	case "ERROR_PROCEDURE":
		if e.Proc == "" {
			return nil
		}
		return e.Proc
	}
	return e.Message
}
