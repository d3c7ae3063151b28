package tsql

import (
	"fmt"
	"strings"
)

// Options of BACKUP and RESTORE that have no effect here: one file on a disk holds one backup, and is written
// completely or not at all. Those in mediaValues have a value.
var (
	mediaWords = wordSet(`
INIT FORMAT NOFORMAT SKIP NOSKIP REWIND NOREWIND UNLOAD NOUNLOAD CHECKSUM NO_CHECKSUM COPY_ONLY COMPRESSION NO_COMPRESSION
STOP_ON_ERROR CONTINUE_AFTER_ERROR RESTART STATS`)
	mediaValues = wordSet(`
NAME DESCRIPTION MEDIANAME MEDIADESCRIPTION STATS BLOCKSIZE BUFFERCOUNT MAXTRANSFERSIZE`)
)

// mediaRefused are the options of BACKUP and RESTORE that would change the backup or the database. They are refused by
// name.
var mediaRefused = wordSet(`
DIFFERENTIAL ENCRYPTION STANDBY NO_TRUNCATE MIRROR FILE_SNAPSHOT METADATA_ONLY SNAPSHOT PASSWORD MEDIAPASSWORD CREDENTIAL
STOPAT STOPATMARK STOPBEFOREMARK PARTIAL RESTRICTED_USER KEEP_REPLICATION KEEP_CDC ENABLE_BROKER ERROR_BROKER_CONVERSATIONS
NEW_BROKER LOADHISTORY FILESTREAM DBNAME EXPIREDATE RETAINDAYS`)

// diskFile takes DISK = 'file', the only supported device.
func (p *parser) diskFile(statement string) string {
	switch t := p.peek(0); {
	case t.is("URL"), t.is("TAPE"), t.is("VIRTUAL_DEVICE"), t.kind == variableToken, t.isName() && !t.is("DISK"):
		p.unsupported("Clause", statement+" "+strings.ToUpper(t.text))
		return ""
	case p.peek(2).kind == variableToken:
		p.unsupported("Clause", statement+" DISK = "+p.peek(2).text)
		return ""
	}
	p.expectAll("DISK", "=")
	file := p.address()
	if p.peek(0).isSymbol(",") {
		p.unsupported("Clause", statement+" several files")
	}
	return file
}

// mediaDatabase takes the name of the database of a BACKUP or RESTORE.
func (p *parser) mediaDatabase(statement string) string {
	if t := p.peek(0); t.kind == variableToken {
		p.unsupported("Clause", statement+" "+t.text)
		return ""
	}
	name := p.identifier()
	if t := p.peek(0); t.is("FILE") || t.is("FILEGROUP") || t.is("READ_WRITE_FILEGROUPS") || t.is("PAGE") {
		p.unsupported("Clause", statement+" … "+strings.ToUpper(t.text))
	}
	return name
}

// mediaOptions parses WITH option, …; own takes the options that only this statement has.
func (p *parser) mediaOptions(statement string, own func() bool) {
	if !p.accept("WITH") {
		return
	}
	for {
		t := p.peek(0)
		word := strings.ToUpper(t.text)
		switch {
		case t.kind != wordToken:
			p.unexpected()
		case own():
		case mediaRefused[word]:
			p.unsupported("Clause", statement+" WITH "+word)
		case mediaValues[word] && p.peek(1).isSymbol("="):
			p.pos += 2
			if v := p.next(); v.kind != stringToken && v.kind != numberToken && v.kind != variableToken {
				p.pos--
				p.unexpected()
			}
		case mediaWords[word]:
			p.pos++
		default:
			p.fail(&Error{Number: 155, State: 1, Class: 15, Line: int(t.line), Message: fmt.Sprintf("'%s' is not a recognized %s option.", t.text, statement)})
		}
		if !p.acceptSymbol(",") {
			return
		}
	}
}

func (p *parser) backup(at position, log bool) Statement {
	b := &Backup{position: at, Log: log, Database: p.mediaDatabase("BACKUP")}
	p.expect("TO")
	b.File = p.diskFile("BACKUP TO")
	if p.peek(0).is("MIRROR") {
		p.unsupported("Clause", "BACKUP … MIRROR TO")
	}
	p.mediaOptions("BACKUP", func() bool {
		switch {
		case p.accept("NOINIT"):
			b.Append = true
		case p.peek(0).is("NORECOVERY"):
			p.unsupported("Clause", "BACKUP WITH NORECOVERY")
		default:
			return false
		}
		return true
	})
	if p.err == nil {
		p.finish()
	}
	return b
}

func (p *parser) restore(at position, what string) Statement {
	r := &Restore{position: at, What: what, Set: 1}
	if what != "FILELISTONLY" {
		r.Database = p.mediaDatabase("RESTORE")
	}
	if what == "FILELISTONLY" || what == "LOG" || p.peek(0).is("FROM") {
		p.expect("FROM")
		if p.peek(0).is("DATABASE_SNAPSHOT") {
			p.unsupported("Clause", "RESTORE FROM DATABASE_SNAPSHOT")
		}
		r.File = p.diskFile("RESTORE FROM")
	}
	p.mediaOptions("RESTORE", func() bool {
		switch {
		case p.accept("NORECOVERY"):
			r.NoRecovery = true
		case p.accept("RECOVERY"):
		case p.accept("REPLACE"):
			r.Replace = true
		case p.accept("FILE"):
			p.expectSymbol("=")
			r.Set = p.smallNumber()
		case p.accept("MOVE"):
			p.address()
			p.expect("TO")
			p.address()
		default:
			return false
		}
		return true
	})
	if p.err == nil {
		p.finish()
	}
	return r
}

// endpoint parses the endpoint for mirroring, in the order of the manual or of Management Studio's scripts.
func (p *parser) endpoint(o *ServerObject) {
	o.Name = p.identifier()
	if p.accept("AUTHORIZATION") { // the owner has no function here
		p.identifier()
	}
	p.expectAll("STATE", "=")
	if t := p.peek(0); t.is("STOPPED") || t.is("DISABLED") {
		p.unsupported("Clause", "CREATE ENDPOINT … STATE = "+strings.ToUpper(t.text))
		return
	}
	p.expectAll("STARTED", "AS", "TCP", "(", "LISTENER_PORT", "=")
	o.Port = p.smallNumber()
	if p.acceptSymbol(",") {
		p.listenerIP()
	}
	p.expectAll(")", "FOR")
	if t := p.peek(0); t.is("TSQL") || t.is("SERVICE_BROKER") || t.is("SOAP") {
		p.unsupported("Clause", "CREATE ENDPOINT … FOR "+strings.ToUpper(t.text))
		return
	}
	if !p.accept("DATA_MIRRORING") {
		p.expect("DATABASE_MIRRORING")
	}
	p.expectSymbol("(")
	for {
		switch {
		case p.accept("AUTHENTICATION"):
			p.expectSymbol("=")
			p.authentication(o)
		case p.accept("ENCRYPTION"):
			p.expectSymbol("=")
			p.encryption()
		default:
			p.expectAll("ROLE", "=")
			if o.Role = strings.ToUpper(p.peek(0).text); !p.accept("ALL") && !p.accept("PARTNER") {
				p.expect("WITNESS")
			}
		}
		if !p.acceptSymbol(",") {
			break
		}
	}
	if p.expectSymbol(")"); o.Role == "" {
		p.unexpected()
	}
}

// listenerIP takes LISTENER_IP = ALL, or an address in parentheses. The server listens on the address given at its
// start.
func (p *parser) listenerIP() {
	p.expectAll("LISTENER_IP", "=")
	if p.peek(0).isSymbol("(") {
		p.skipParentheses()
		return
	}
	p.expect("ALL")
}

// authentication takes CERTIFICATE name or WINDOWS [method], or both.
func (p *parser) authentication(o *ServerObject) {
	known := false
	for range 2 {
		switch {
		case o.Certificate == "" && p.accept("CERTIFICATE"):
			o.Certificate, known = p.identifier(), true
		case p.accept("WINDOWS"):
			known = true
			if !p.accept("NEGOTIATE") && !p.accept("NTLM") {
				p.accept("KERBEROS")
			}
		}
	}
	if !known {
		p.unexpected()
	}
}

// encryption takes DISABLED, or SUPPORTED or REQUIRED with the algorithms. The option has no effect: both servers are
// in this process.
func (p *parser) encryption() {
	if p.accept("DISABLED") {
		return
	}
	if !p.accept("SUPPORTED") {
		p.expect("REQUIRED")
	}
	if p.accept("ALGORITHM") {
		if !p.accept("AES") {
			p.expect("RC4")
			p.accept("AES")
			return
		}
		p.accept("RC4")
	}
}
