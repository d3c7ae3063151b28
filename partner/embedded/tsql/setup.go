package tsql

import (
	"strconv"
	"strings"
)

// ServerObject is a statement for the authentication between two servers: CREATE MASTER KEY, CERTIFICATE or
// ENDPOINT, or GRANT CONNECT ON ENDPOINT.
type ServerObject struct {
	position
	Kind   string // MASTER KEY, CERTIFICATE, ENDPOINT or GRANT CONNECT
	Name   string // of the object; "" for the master key
	Owner  string // of a certificate: AUTHORIZATION. Of a grant: the grantee
	Binary string // of a certificate: FROM BINARY, as hexadecimal digits; "": a new one is created
	Port   int    // of an endpoint
	Role   string // of an endpoint: PARTNER, WITNESS or ALL
	// Certificate is the endpoint's; "" for Windows accounts.
	Certificate string
}

// Backup is BACKUP DATABASE or BACKUP LOG … TO DISK.
type Backup struct {
	position
	Log      bool
	Database string
	File     string
	// Append: NOINIT was written, so that the contents of the file must stay.
	Append bool
}

// Restore is RESTORE DATABASE, LOG or FILELISTONLY. MOVE is parsed and has no effect here: the server
// determines where a database's files are.
type Restore struct {
	position
	What       string // DATABASE, LOG or FILELISTONLY
	Database   string // "" for FILELISTONLY
	File       string // "" for RESTORE DATABASE x WITH RECOVERY
	NoRecovery bool
	Replace    bool // replaces an existing database, whatever its state
	Set        int  // the number of the backup in the file: FILE = n, otherwise 1
}

// setup parses a statement of setting up a pair; false: it is another statement, and no token was taken.
func (p *parser) setup(at position, word string) (Statement, bool) {
	second := strings.ToUpper(p.peek(1).text)
	switch word + " " + second {
	case "CREATE MASTER", "CREATE CERTIFICATE", "CREATE ENDPOINT":
		p.pos += 2
		return p.serverObject(at, second), true
	case "GRANT CONNECT":
		if p.peek(2).is("ON") && p.peek(3).is("ENDPOINT") {
			p.pos += 4
			return p.grantConnect(at), true
		}
	case "BACKUP DATABASE", "BACKUP LOG":
		p.pos += 2
		return p.backup(at, second == "LOG"), true
	case "RESTORE DATABASE", "RESTORE LOG", "RESTORE FILELISTONLY":
		p.pos += 2
		return p.restore(at, second), true
	}
	return nil, false
}

func (p *parser) serverObject(at position, kind string) Statement {
	o := &ServerObject{position: at, Kind: kind}
	switch kind {
	case "MASTER":
		o.Kind = "MASTER KEY"
		p.expectAll("KEY", "ENCRYPTION", "BY", "PASSWORD", "=")
		p.address()
	case "CERTIFICATE":
		p.certificate(o)
	default:
		p.endpoint(o)
	}
	if p.err == nil {
		p.finish()
	}
	return o
}

// expectAll takes words and symbols, or fails.
func (p *parser) expectAll(words ...string) {
	for _, w := range words {
		if w[0] >= 'A' && w[0] <= 'Z' {
			p.expect(w)
		} else {
			p.expectSymbol(w)
		}
	}
}

func (p *parser) certificate(o *ServerObject) {
	o.Name = p.identifier()
	if p.accept("AUTHORIZATION") {
		o.Owner = p.identifier()
	}
	if p.accept("FROM", "BINARY") {
		p.expectSymbol("=")
		t := p.next().text
		if !strings.HasPrefix(strings.ToLower(t), "0x") || len(t) < 4 {
			p.pos--
			p.unexpected()
		}
		o.Binary = strings.ToUpper(t[min(2, len(t)):])
		return
	}
	p.expectAll("WITH", "SUBJECT", "=")
	p.address()
	if p.acceptSymbol(",") {
		p.expectAll("EXPIRY_DATE", "=")
		p.address()
	}
}

func (p *parser) grantConnect(at position) Statement {
	o := &ServerObject{position: at, Kind: "GRANT CONNECT"}
	for p.acceptSymbol("::") || p.acceptSymbol(":") {
		continue
	}
	o.Name = p.identifier()
	p.expect("TO")
	o.Owner = p.identifier()
	p.finish()
	return o
}

// portOf returns the port of an endpoint's address, TCP://host:port; 0: not such an address.
func portOf(address string) int {
	rest, found := strings.CutPrefix(strings.ToUpper(address), "TCP://")
	i := strings.LastIndexByte(rest, ':')
	if !found || i < 1 || strings.ContainsAny(rest[:i], ":/' ") {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(rest[i+1:], "/"))
	if err != nil || n < 1 || n > 65535 {
		return 0
	}
	return n
}

// EndpointPort returns the port of the clause's address; 0: it is not TCP://host:port.
func (a *AlterDatabase) EndpointPort() int { return portOf(a.Argument) }
