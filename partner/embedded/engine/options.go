package engine

import (
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// options are the SET options of a session, except NOCOUNT and LOCK_TIMEOUT. The zero value is the state after login.
type options struct {
	flips     int64 // the bits of @@OPTIONS that differ from those after login
	noExec    bool  // NOEXEC: no statement runs except SET NOEXEC
	parseOnly bool  // PARSEONLY: no statement runs except SET PARSEONLY
	fmtOnly   bool  // FMTONLY: only the result columns of a query are sent
	rowLimit  int64 // ROWCOUNT; 0: no limit
	textSize  int64 // TEXTSIZE; 0: no limit
}

// Bits of @@OPTIONS. Source: the manual's "Configure the user options Server Configuration Option".
const (
	optionImplicit    int64 = 1 << 1
	optionCloseCursor int64 = 1 << 2
	optionWarnings    int64 = 1 << 3
	optionPadding     int64 = 1 << 4
	optionNulls       int64 = 1 << 5
	optionArithAbort  int64 = 1 << 6
	optionArithIgnore int64 = 1 << 7
	optionQuoted      int64 = 1 << 8
	optionNoCount     int64 = 1 << 9
	optionNullable    int64 = 1 << 10 // ANSI_NULL_DFLT_ON
	optionNotNullable int64 = 1 << 11 // ANSI_NULL_DFLT_OFF
	optionConcatNull  int64 = 1 << 12
	optionRoundAbort  int64 = 1 << 13
	optionXactAbort   int64 = 1 << 14

	// loginOptions are the options after a login by ODBC, OLE DB or SqlClient. A DB-Library client gets the same ones,
	// because this server does not distinguish them.
	loginOptions = optionWarnings | optionPadding | optionNulls | optionQuoted | optionNullable | optionConcatNull
)

// bits returns @@OPTIONS.
func (s *session) bits() int64 {
	return loginOptions ^ s.set.flips | sqlvalue.BoolInt(s.noCount)*optionNoCount
}

// has reports whether the option of the bit is ON.
func (s *session) has(bit int64) bool { return s.bits()&bit != 0 }

// put sets the option of the bit.
func (o *options) put(bit int64, on bool) {
	o.flips |= bit
	if on == (loginOptions&bit != 0) {
		o.flips &^= bit
	}
}

// scope is the state that a procedure and sp_executesql restore when they end: their changes of the SET options do not
// last. Source: the manual's "SET statements".
type scope struct {
	set         options
	noCount     bool
	lockTimeout time.Duration
}

func (s *session) scope() scope { return scope{s.set, s.noCount, s.lockTimeout} }
func (s *session) leaveTo(sc scope) {
	s.set, s.noCount, s.lockTimeout = sc.set, sc.noCount, sc.lockTimeout
}

// fixedOptions have only one value here. SET refuses other values by the name of the option.
var fixedOptions = map[string]string{
	"ANSI_NULLS": "ON", "ANSI_WARNINGS": "ON", "CONCAT_NULL_YIELDS_NULL": "ON",
	"NUMERIC_ROUNDABORT": "OFF", "CURSOR_CLOSE_ON_COMMIT": "OFF",
	"SHOWPLAN_ALL": "OFF", "SHOWPLAN_TEXT": "OFF", "SHOWPLAN_XML": "OFF", "STATISTICS PROFILE": "OFF", "STATISTICS XML": "OFF",
	"DATEFIRST": "7", "DATEFORMAT": "MDY", "QUERY_GOVERNOR_COST_LIMIT": "0",
}

// ignoredOptions have no effect here that a client could see, whatever their value. The value in the map is the reason.
var ignoredOptions = map[string]string{
	"FORCEPLAN":                   "a hint that changes no response",
	"REMOTE_PROC_TRANSACTIONS":    "applies to calls of other servers, which are not supported",
	"NO_BROWSETABLE":              "requests the keys of a result, which SQL Server does not always send either",
	"STATISTICS IO":               "requests messages about the pages read, whose form is not fixed",
	"STATISTICS TIME":             "as STATISTICS IO",
	"DEADLOCK_PRIORITY":           "there are no deadlocks, because one session writes at a time",
	"TRANSACTION ISOLATION LEVEL": "from its first statement on, a transaction uses its database exclusively, which is as strict as SERIALIZABLE and SNAPSHOT",
	"CONTEXT_INFO":                "read only by CONTEXT_INFO(), which is not supported",
}

// bitOptions are the options that can be ON and OFF here, with their bits.
var bitOptions = map[string]int64{
	"IMPLICIT_TRANSACTIONS": optionImplicit,
	"QUOTED_IDENTIFIER":     optionQuoted, // applied by the parser
	"XACT_ABORT":            optionXactAbort,
	// Both apply to computations that fail while ANSI_WARNINGS is OFF, but that option is always ON here.
	"ARITHABORT": optionArithAbort, "ARITHIGNORE": optionArithIgnore,
	// These apply to new columns: see checkOptions.
	"ANSI_PADDING": optionPadding, "ANSI_NULL_DFLT_ON": optionNullable, "ANSI_NULL_DFLT_OFF": optionNotNullable,
}

// setOption runs SET of an option: it applies the option, ignores one without effect here, or refuses it.
func (b *batch) setOption(st *tsql.SetOption) error {
	if st.Option == "IDENTITY_INSERT" {
		return b.setIdentityInsert(st)
	}
	value, err := b.optionText(st)
	if err != nil {
		return err
	}
	s, on := b.s, value == "ON"
	if bit := bitOptions[st.Option]; bit != 0 {
		s.set.put(bit, on)
		switch {
		case on && bit == optionNullable:
			s.set.put(optionNotNullable, false)
		case on && bit == optionNotNullable:
			s.set.put(optionNullable, false)
		}
		return nil
	}
	switch st.Option {
	case "NOCOUNT":
		s.noCount = on
	case "NOEXEC":
		s.set.noExec = on
	case "PARSEONLY":
		s.set.parseOnly = on
	case "FMTONLY":
		s.set.fmtOnly = on
	case "LOCK_TIMEOUT", "ROWCOUNT", "TEXTSIZE":
		return b.setNumber(st.Option, value)
	default:
		return refusedOption(st.Option, value)
	}
	return nil
}

// optionText returns the value of a SET, or of the variable that it names.
func (b *batch) optionText(st *tsql.SetOption) (string, error) {
	if !strings.HasPrefix(st.Value, "@") {
		return st.Value, nil
	}
	v, err := b.valueOf(strings.ToLower(st.Value))
	text, _ := sqlvalue.TextOf(v)
	return strings.ToUpper(text), err
}

// setNumber sets an option with a numeric value.
func (b *batch) setNumber(option, value string) error {
	n, ok := sqlvalue.IntegerOf(value, -1, 1<<31-1)
	s := b.s
	switch {
	case !ok || n < 0 && option == "ROWCOUNT":
		return sqlerror.NotSupported("SET %s %s", option, value)
	case option == "LOCK_TIMEOUT":
		s.lockTimeout = time.Duration(n) * time.Millisecond
	case option == "ROWCOUNT":
		s.set.rowLimit = n
	case n == 0:
		s.set.textSize = 4096
	default:
		s.set.textSize = n % (1<<31 - 1) // the largest value means no limit
	}
	if option == "TEXTSIZE" {
		s.set.textSize = max(s.set.textSize, 0)
		b.w.TextSize(s.set.textSize)
	}
	return nil
}

// shownTextSize returns @@TEXTSIZE.
func (s *session) shownTextSize() int64 {
	if s.set.textSize == 0 {
		return 1<<31 - 1
	}
	return s.set.textSize
}

// refusedOption refuses a SET that would change the effect of statements in an unsupported way.
func refusedOption(option, value string) error {
	fixed, known := fixedOptions[option]
	switch {
	case ignoredOptions[option] != "", known && strings.EqualFold(fixed, value):
		return nil
	case option == "LANGUAGE" && (strings.EqualFold(value, "us_english") || strings.EqualFold(value, "english")):
		return nil
	}
	return sqlerror.NotSupported("SET %s %s", option, value)
}

// checkOptions refuses a statement whose effect an option of the session would change in an unsupported way.
func (s *session) checkOptions(st tsql.Statement) error {
	switch st := st.(type) {
	case *tsql.Definition:
		if st.Kind == "TABLE" && st.Verb != "DROP" {
			switch {
			case !s.has(optionPadding):
				return sqlerror.NotSupported("%s TABLE while ANSI_PADDING is OFF", st.Verb)
			case !s.has(optionNullable):
				return sqlerror.NotSupported("%s TABLE while ANSI_NULL_DFLT_ON is OFF", st.Verb)
			}
		}
	case *tsql.Exec:
		if systemProcedures[strings.ToLower(st.Procedure.Object)] == 0 {
			return s.checkCallOptions()
		}
	}
	return nil
}

// checkCallOptions refuses the call of a procedure if an option would change the effect of its statements.
func (s *session) checkCallOptions() error {
	switch {
	case s.set.fmtOnly:
		return sqlerror.NotSupported("EXECUTE of a procedure while FMTONLY is ON")
	case s.set.rowLimit > 0:
		return sqlerror.NotSupported("EXECUTE of a procedure under SET ROWCOUNT %d", s.set.rowLimit)
	}
	return nil
}

// skips reports whether a statement must not run, because NOEXEC or PARSEONLY is ON. An IF or a WHILE may contain the
// SET that ends it, but is not run for that.
func (s *session) skips(st tsql.Statement) bool {
	if !s.set.noExec && !s.set.parseOnly {
		return false
	}
	set, ok := st.(*tsql.SetOption)
	return !ok || !(s.set.noExec && !s.set.parseOnly && set.Option == "NOEXEC" || s.set.parseOnly && set.Option == "PARSEONLY")
}

// startsTransaction reports whether the statement begins a transaction if IMPLICIT_TRANSACTIONS is ON and none is open.
// Source: the list in the manual's SET IMPLICIT_TRANSACTIONS. A SELECT must read a table. The first statement of a
// procedure does not matter: the call begins the transaction.
func startsTransaction(st tsql.Statement) bool {
	switch st := st.(type) {
	case *tsql.Query:
		return st.Kind != tsql.Select || len(st.Tables) > 0 || len(st.Locals) > 0
	case *tsql.Merge:
		return true
	case *tsql.CreateLocal:
		return st.Name[0] == '#'
	case *tsql.DropLocal:
		return true
	case *tsql.Definition:
		switch st.Kind {
		case "DATABASE", "LOGIN": // these run in autocommit mode only
			return false
		}
		return st.Verb != "ALTER" || st.Kind == "TABLE"
	case *tsql.Grant:
		return st.Verb != "DENY"
	case *tsql.Transaction:
		return st.Action == tsql.BeginTransaction
	case *tsql.Exec:
		return systemProcedures[strings.ToLower(st.Procedure.Object)] == 0
	}
	return false
}

// beginImplicitly begins the transaction of IMPLICIT_TRANSACTIONS, if the option is ON.
func (b *batch) beginImplicitly() {
	if b.s.open == 0 && b.s.has(optionImplicit) {
		b.s.begin()
		b.w.TransactionBegan(b.s.id)
	}
}
