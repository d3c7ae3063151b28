// Package via holds the stores that a load can use instead of mirrorstate's own: each is one way to
// reach the sessions of a pair.
//
//   - [NewHTTP] is mirrorstate's API, and [Fleet] several servers of it.
//   - [Driver] is the client of the handler that [ServeDriver] serves: HTTP over go-mssqldb.
//   - [Procedures] calls the stored procedures of ASP.NET through go-mssqldb.
//
// A store keeps one connection for each client of the load. It retries nothing; only the handler of
// [ServeDriver] retries a failed call once. The stores implement what a load needs, not the whole
// contract of [session.Store].
package via
