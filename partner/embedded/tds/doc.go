// Package tds is the server side of the TDS protocol, versions 7.2 to 7.4. It converts the bytes
// of a SQL Server client to calls of a [Session], and the results to tokens.
//
// It contains no SQL, no permissions and no mirroring; these belong to the [Handler]. It parses
// every byte of a client with bounds checks. It never buffers more than has arrived, nor more
// than [Server.MaxRequest].
//
// A connection costs one goroutine, and about 12 KiB while idle (up to 200 KiB after large requests
// and responses). A call that runs longer than a millisecond costs a second goroutine, which reads
// a possible attention. A request costs one read and one write.
//
// Not supported: TDS before 7.2 (refused at login), MARS, integrated security (passed to the
// Handler as a flag), bulk load, and table-valued, variant and CLR parameters (refused by an
// error that names the type).
//
//	s := &tds.Server{Handler: h, TLS: cfg}
//	err := s.Serve(ctx, listener)
package tds
