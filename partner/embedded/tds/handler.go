package tds

import (
	"context"
	"net"
)

// Handler authenticates logins. It is called from many goroutines concurrently.
type Handler interface {
	// Login accepts or refuses a login, within ctx, which ends with the login timeout. A non-nil error refuses it
	// and closes the connection: an [*Error] or [Errors] is sent unchanged, any other as 18456 with the usual text
	// (the cause is logged, not sent). With a nil error the Session must not be nil.
	Login(ctx context.Context, l *Login) (Session, LoginReply, error)
}

// Login is the content of a client's LOGIN7 message.
type Login struct {
	User     string
	Password string
	Database string // "" if the client named none
	AppName  string
	HostName string // the name of the client's computer, as the client states it
	// ServerName is the server's name as the client uses it.
	ServerName string
	Library    string // name of the client's driver
	Language   string

	// DatabaseFatal: the login must fail if Database cannot be opened (4060 and 18456); otherwise it continues in
	// the default database with a 4063 among the Messages. Source: OptionFlags1 0x40.
	DatabaseFatal bool
	// IntegratedSecurity: the client wants SSPI instead of user and password.
	IntegratedSecurity bool
	ReadOnlyIntent     bool
	// Encrypted: the login arrived over TLS (the rest of the connection may be unencrypted).
	Encrypted bool

	Version    uint32 // the client's TDS version, for example 0x74000004
	RemoteAddr net.Addr
	SPID       uint16 // number of the connection, ≥ 51, in every packet's header
	// Conn is the connection as accepted. Any goroutine may close it at any time to disconnect the client: the
	// context of a running call ends and [Session.Close] follows. It must not be read or written.
	Conn net.Conn
}

// LoginReply is the reply to an accepted client.
type LoginReply struct {
	ServerName string   // the server's name in messages
	Database   string   // the session's database (ENVCHANGE 1, INFO 5701)
	Partner    string   // failover partner (ENVCHANGE 13); "" sends none
	Messages   []*Error // sent first; an error of class > 10 among them does not end the session
}

// Session is one logged-in connection. Calls never overlap; Close comes last
// and once.
//
// The ctx of a call ends on attention ([context.Cause] is then [ErrAttention]),
// when the client is gone ([ErrClientGone]), or when the server stops.
//
// A returned error becomes an ERROR token ([Errors]: several) and a DONE with the error bit. An error that wraps no
// [*Error] or [Errors] is sent as number 50000, class 16, with its text. Class 20 and above also sets the
// server-error bit and closes the connection after the response. After an attention, the returned error is ignored.
type Session interface {
	// Batch runs the text of a SQL batch.
	Batch(ctx context.Context, text string, w *Response) error
	// Call runs a procedure (RPC).
	Call(ctx context.Context, c *Call, w *Response) error
	// Begin starts a transaction by a transaction manager request. isolation is
	// 0 (as it is), 1 read uncommitted, 2 read committed, 3 repeatable read,
	// 4 serializable, 5 snapshot. The id must not be 0.
	Begin(ctx context.Context, isolation byte, name string) (id uint64, err error)
	// Commit ends the open transaction.
	Commit(ctx context.Context) error
	// Rollback undoes the open transaction.
	Rollback(ctx context.Context) error
	// Reset resets the session to its state after the login: transaction rolled back, SET options and database as at
	// login. It runs before a request whose first packet asks for it; if it fails, the request is not run.
	Reset(ctx context.Context) error
	// Close releases the session's resources.
	Close()
}

// TransactionKeeper is a [Session] that can be reset without ending its open transaction (status bit 0x10 of a
// request). Any other session refuses such a request with an error, but only while a transaction is open.
type TransactionKeeper interface {
	ResetKeepTransaction(ctx context.Context) error
}

// TransactionNester is a [Session] whose transactions nest and have savepoints. Any other session refuses a
// savepoint, and each commit or rollback ends its transaction.
type TransactionNester interface {
	// Save sets a savepoint in the open transaction.
	Save(ctx context.Context, name string) error
	// RollbackTo rolls back to the last savepoint of the name, or rolls back the transaction of that name as
	// Rollback does.
	RollbackTo(ctx context.Context, name string) error
	// InTransaction reports whether a transaction is open.
	InTransaction() bool
}

// Procedure numbers that clients use in [Call.ProcID].
const (
	ProcExecuteSQL uint16 = 10 // sp_executesql
	ProcPrepare    uint16 = 11 // sp_prepare
	ProcExecute    uint16 = 12 // sp_execute
	ProcPrepExec   uint16 = 13 // sp_prepexec
	ProcUnprepare  uint16 = 15 // sp_unprepare
)

// Call is one remote procedure call. The session may keep it.
type Call struct {
	// Name is the procedure as the client wrote it ("dbo.X", "[ASPState].dbo.X"); "" if ProcID is set.
	Name string
	// ProcID is the number of a system procedure; 0 if Name is set.
	ProcID uint16
	Params []Param
}

// Param is one parameter of a [Call].
type Param struct {
	// Name as sent, with its "@"; "" for a positional parameter.
	Name string
	// Type as sent. Fixed and nullable forms of a type are the same Type.
	Type Type
	// Value is nil, int64 (every integer type), bool, float64 (float, real), string
	// (every character type; numeric and money as a decimal number), []byte (binary types, image;
	// uniqueidentifier: the 16 bytes as on the wire) or time.Time (UTC;
	// datetimeoffset keeps its offset; date is midnight, time is on 1 January of year 1).
	Value any
	// Output: the caller expects the value in [Response.ReturnValue].
	Output bool
	// Default: the call uses the parameter's default; Value is ignored.
	Default bool
}
