// Package tds is the server side of the TDS protocol, versions 7.2 to 7.4: it
// turns the bytes of a SQL Server client into calls on a [Session], and the
// answers into tokens.
//
// It knows nothing of SQL, of what a session may do, or of mirroring; those are
// the [Handler]'s. It parses every byte of a client with bounds checks and never
// buffers more than has arrived, nor more than [Server.MaxRequest].
//
// A connection costs one goroutine, a second one only while a call runs longer
// than a millisecond (it then listens for an attention), and some 12 KiB while
// idle (up to 200 KiB after large requests and answers). A request costs one read and one write.
//
// Not supported: TDS before 7.2 (refused at login), MARS, integrated security
// (handed to the Handler as a flag), bulk load, savepoints, table-valued,
// variant and CLR parameters (refused by an error that names the type).
//
//	s := &tds.Server{Handler: h, TLS: cfg}
//	err := s.Serve(ctx, listener)
package tds
