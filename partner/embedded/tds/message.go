package tds

import (
	"errors"
	"fmt"
	"strings"
)

// The causes of the end of a call's context, returned by [context.Cause].
var (
	// ErrAttention: the client cancelled the request and waits for the acknowledgement.
	ErrAttention = errors.New("tds: request cancelled by attention")
	// ErrClientGone: the connection ended while the request was running.
	ErrClientGone = errors.New("tds: client disconnected")
)

// Error is a message of SQL Server: an ERROR token, or an INFO token if Class is at most
// 10. A zero State or Line is sent as 1; an empty Server as the login's server name.
type Error struct {
	Number  int32
	State   uint8
	Class   uint8 // severity; ≥ 20 ends the connection
	Message string
	Server  string
	Proc    string
	Line    int32
}

// Error returns the number, severity and text.
func (e *Error) Error() string {
	return fmt.Sprintf("sql error %d, class %d: %s", e.Number, e.Class, e.Message)
}

// SQLErrorNumber returns the message's number.
func (e *Error) SQLErrorNumber() int32 { return e.Number }

// Errors are several messages about one failure, in the order in which they are sent
// (4060, then 18456).
type Errors []*Error

// Error returns the texts of all messages.
func (es Errors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the messages for [errors.Is] and [errors.As].
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// messagesOf returns the messages as which err is sent; nil if err is nil.
func messagesOf(err error) Errors {
	if err == nil {
		return nil
	}
	if many, ok := errors.AsType[Errors](err); ok && len(many) > 0 {
		return many
	}
	if one, ok := errors.AsType[*Error](err); ok {
		return Errors{one}
	}
	return Errors{{Number: 50000, Class: 16, Message: err.Error()}}
}

// fatalClass is the lowest severity that ends the connection.
const fatalClass = 20

// fatal reports whether one of the messages ends the connection.
func (es Errors) fatal() bool {
	for _, e := range es {
		if e.Class >= fatalClass {
			return true
		}
	}
	return false
}
