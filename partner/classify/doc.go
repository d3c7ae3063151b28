// Package classify says what an error of a server, or of the way to it, means for a call: may the call run again, and where.
// It also says what an operator can do about a certificate or an instance name that the driver refused. It is pure.
package classify
