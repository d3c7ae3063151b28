package tsql

// Statement is one statement of a batch: *Declare, *Assign, *SetOption, *Use, *Exec, *Query, *Merge, *Transaction,
// *AlterDatabase, *Definition, *Grant, *If, *Print, *Return, *Throw, *RaiseError, *While, *Break, *Continue or *Try,
// always a pointer; in a procedure (see [ParseProcedure]) also *CreateLocal, *DropLocal, *DeclareCursor or
// *CursorAction. Statements are immutable once Parse has returned them.
type Statement interface {
	// Line is the line of the batch where the statement begins, from 1.
	Line() int
}

// position is the Line of every statement.
type position int

// Line implements Statement.
func (p position) Line() int { return int(p) }

// Declare is DECLARE @a int, @b nvarchar(88) = N'x'. Without Init a variable is initially NULL. Initializers may use
// variables declared before them.
type Declare struct {
	position
	Vars []Variable
}

// Variable is one declared variable.
type Variable struct {
	Name string // lower case, with its "@": variables ignore case
	Type TypeSpec
	Init *Expr // nil: NULL
}

// Assign is SET @x = expr. SET @x += expr becomes @x + expr.
type Assign struct {
	position
	Variable string // lower case, with its "@"
	Value    Expr
}

// SetOption is one SET of a session option. SET a, b ON becomes two of them.
type SetOption struct {
	position
	// Table is the table of IDENTITY_INSERT.
	Table Name
	// Option is in upper case, as the manual names it: NOCOUNT, TEXTSIZE,
	// TRANSACTION ISOLATION LEVEL, STATISTICS IO, …
	Option string
	// Value is ON or OFF, a number, a word in upper case (READ COMMITTED,
	// NORMAL, MDY), a string without its quotes, or a variable ("@n").
	Value string
}

// Use is USE database.
type Use struct {
	position
	Database string
}

// Exec calls a procedure: EXEC [@r =] [database.][schema.]procedure args, or the same without EXEC as the first
// statement of a batch.
type Exec struct {
	position
	Return    string // the variable for the return status, lower case; "" for none
	Procedure Name
	Args      []Arg
}

// Arg is one argument of a procedure call.
type Arg struct {
	Name     string // the parameter's name, lower case, with its "@"; "" for a positional argument
	Value    Expr   // a constant or one variable; a plain word is a string. Zero if Default
	Variable string // the variable that was passed, lower case; "" for a constant. The target if Output
	Output   bool   // OUTPUT was written
	Default  bool   // DEFAULT was written instead of a value
}

// QueryKind is which of the four statements a Query is.
type QueryKind int

// The kinds of Query.
const (
	Select QueryKind = iota
	Insert
	Update
	Delete
)

// String returns the T-SQL keyword.
func (k QueryKind) String() string {
	return [...]string{"SELECT", "INSERT", "UPDATE", "DELETE"}[k]
}

// Query is a SELECT, INSERT, UPDATE or DELETE, translated to SQLite.
//
// SQL is one statement without a semicolon. It refers to tables without
// database and schema, system views as sys_… tables (see [Name.Table]);
// Inputs.Tables lists them all with the names as written. UPDATE TOP and
// DELETE TOP use rowid: the caller's tables must not be WITHOUT ROWID.
type Query struct {
	position
	Inputs
	Kind QueryKind
	SQL  string
	// Columns describes the select list, one entry per item; see Hints. Empty unless Kind is Select.
	Columns []ColumnHint
	// Assigns has, for SELECT @a = x, @b = y, the variable (lower case, with "@") for each column. Such a query sends
	// no result set to the client, and the last row determines the values (no row: the variables keep their values).
	// nil for every other query: T-SQL refuses a mixture (141).
	Assigns []string
	// Key is the name without schema of the table that an INSERT, UPDATE or DELETE writes, as written and without
	// brackets; "" for a SELECT. Its full Name is Tables[0].
	Key string
	// Sets has the columns that an UPDATE sets, or an INSERT of a MERGE.
	Sets []string
	// Output is the OUTPUT clause of a write in a procedure, and the variables that it sets; nil if there is none.
	Output *Output
	// Identity: the table that an INSERT writes has an identity column, according to the schema. SetsIdentity: the
	// INSERT sets it. See [Query.IdentityInsert].
	Identity, SetsIdentity bool
}

// IdentityInsert refuses an INSERT that sets an identity column without SET IDENTITY_INSERT ON of its table (544), or
// does not set it with the option (545). on is the session's setting.
func (q *Query) IdentityInsert(on bool) *Error {
	var e *Error
	switch {
	case q.SetsIdentity && !on:
		e = failure(544, 16, "Cannot insert explicit value for identity column in table '%s' when IDENTITY_INSERT is set to OFF.", q.Key)
	case q.Identity && !q.SetsIdentity && on:
		e = failure(545, 16, "Explicit value must be specified for identity column in table '%s' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.", q.Key)
	default:
		return nil
	}
	e.Line = q.Line()
	return e
}

// Hints returns one hint for each column of the result that SQLite returned under names, with * replaced by its
// columns. SQLite's names are the names that a client expects (an unnamed expression has the name "").
func (q *Query) Hints(names []string) []ColumnHint {
	hints := make([]ColumnHint, 0, len(names))
	byName := func(name string, table Name) ColumnHint { return ColumnHint{Name: name, Column: name, Table: table} }
	stars := 0
	for _, c := range q.Columns {
		if c.Star {
			stars++
		}
	}
	// With two stars the end of the first one is not known.
	expanded := len(names) - len(q.Columns) + 1
	if stars > 1 || expanded < 0 || stars == 0 && expanded != 1 {
		for _, name := range names {
			hints = append(hints, byName(name, Name{}))
		}
		return hints
	}
	for _, c := range q.Columns {
		if !c.Star {
			hints = append(hints, c)
			continue
		}
		for range expanded {
			hints = append(hints, byName(names[len(hints)], c.Table))
		}
	}
	return hints
}

// ColumnHint is what the text determines about a column of a result. At most one of Column and Variable is set; Type
// may be set with either. All zero means unknown: use the type of the value.
type ColumnHint struct {
	Name     string   // for the client; "" for an expression without alias
	Type     TypeSpec // of CONVERT, CAST, a literal or a known function
	Column   string   // of a plain column reference: its name as written
	Table    Name     // the table of Column or Star if the text determines it; otherwise zero
	Variable string   // of a plain variable: lower case, with its "@"
	Star     bool     // * or t.*: stands for any number of columns
}

// TransactionAction is the action of a Transaction.
type TransactionAction int

// The actions of Transaction.
const (
	BeginTransaction TransactionAction = iota
	CommitTransaction
	RollbackTransaction
	SaveTransaction
)

// Transaction is BEGIN, COMMIT, ROLLBACK or SAVE TRANSACTION.
type Transaction struct {
	position
	Action TransactionAction
	// Name is the transaction's or savepoint's name, or a variable ("@n") that holds it; "" if there is none.
	Name string
	// IfOpen: the statement was written after IF @@TRANCOUNT > 0 and has no effect unless a transaction is open.
	IfOpen bool
}

// AlterClause is the mirroring clause of an ALTER DATABASE.
type AlterClause int

// The clauses of AlterDatabase. Argument and Number are zero unless stated.
const (
	SetPartner      AlterClause = iota // SET PARTNER = 'address': Argument
	PartnerFailover                    // SET PARTNER FAILOVER
	PartnerForce                       // SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS
	PartnerSuspend                     // SET PARTNER SUSPEND
	PartnerResume                      // SET PARTNER RESUME
	PartnerOff                         // SET PARTNER OFF
	PartnerSafety                      // SET PARTNER SAFETY: Argument is FULL or OFF
	PartnerTimeout                     // SET PARTNER TIMEOUT: Number, in seconds
	SetWitness                         // SET WITNESS = 'address': Argument
	WitnessOff                         // SET WITNESS OFF
	SetRecovery                        // SET RECOVERY: Argument is FULL, SIMPLE or BULK_LOGGED
)

// AlterDatabase is one of the mirroring clauses of ALTER DATABASE, or its recovery model; every other clause is an
// Error.
type AlterDatabase struct {
	position
	Database string // "" for ALTER DATABASE CURRENT
	Clause   AlterClause
	Argument string // address as written (unchecked), or FULL, OFF, SIMPLE, …
	Number   int    // seconds of TIMEOUT
}

// Print is PRINT expr: an informational message to the client.
type Print struct {
	position
	Value Expr
}
