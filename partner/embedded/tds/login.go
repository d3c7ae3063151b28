package tds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// maxLogin limits the size of a message before the login has succeeded.
const maxLogin = 128 << 10

// tlsRecord is the first byte of a TLS handshake: a client of TDS 8.
const tlsRecord = 0x16

// errRefused is a login that was refused; the client has been sent the error.
var errRefused = errors.New("tds: login refused")

// login handles the connection from its first byte to the reply to LOGIN7, within the login timeout.
func (c *conn) login() error {
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.loginTimeout())
	defer cancel()
	until, _ := ctx.Deadline()
	if err := c.raw.SetDeadline(until); err != nil {
		return err
	}
	c.out.until = until.Add(writeStall) // so that a write does not extend the login timeout
	body, encrypted, err := c.beforeLogin(ctx)
	if err != nil {
		return err
	}
	l, packetSize, err := parseLogin7(body)
	if err != nil {
		c.refuse(Errors{malformed(err)})
		return err
	}
	l.Encrypted, l.RemoteAddr, l.SPID, l.Conn = encrypted, c.raw.RemoteAddr(), c.spid, c.raw
	if err := c.decide(ctx, l, packetSize); err != nil {
		return err
	}
	c.out.until = time.Time{} // the login timeout no longer applies
	c.in.stall = messageStall
	return c.raw.SetDeadline(time.Time{})
}

// beforeLogin handles the messages before LOGIN7, and returns LOGIN7's body and whether it was encrypted.
func (c *conn) beforeLogin(ctx context.Context) (body []byte, encrypted bool, err error) {
	if err := c.in.fill(); err != nil {
		return nil, false, err
	}
	if c.in.buf[0] == tlsRecord && c.srv.tls8 != nil {
		if err := c.strict(ctx); err != nil {
			return nil, false, err
		}
		encrypted = true
	}
	m, err := c.loginMessage()
	if err != nil {
		return nil, false, err
	}
	if m.kind == packetLogin { // clients before 7.1 begin with LOGIN7
		return m.body, encrypted, nil
	}
	if m.kind != packetPrelogin {
		return nil, false, c.unexpected(m.kind)
	}
	plain := c.in
	loginOnly, err := c.prelogin(ctx, m.body, encrypted)
	if err != nil {
		return nil, false, err
	}
	if m, err = c.loginMessage(); err != nil {
		return nil, false, err
	}
	if m.kind != packetLogin {
		return nil, false, c.unexpected(m.kind)
	}
	_, encrypted = c.out.dst.(*tls.Conn)
	if loginOnly { // from the reply on, both sides send unencrypted data again
		c.in, c.out.dst = plain, c.raw
	}
	return m.body, encrypted, nil
}

// prelogin answers the client's PRELOGIN and encrypts the connection if both sides want that.
func (c *conn) prelogin(ctx context.Context, body []byte, strict bool) (loginOnly bool, err error) {
	p, err := parsePrelogin(body)
	if err != nil {
		c.refuse(Errors{malformed(err)})
		return false, err
	}
	answer := answerEncryption(p.encryption, c.srv.tls7 != nil)
	if strict {
		answer = encryptStrict
	} else if answer == encryptStrict { // only a connection that began with TLS is strict
		answer = encryptNotSupported
	}
	c.out.tokens = appendPrelogin(c.out.tokens, answer, p.mars)
	if err := c.out.finish(); err != nil {
		return false, err
	}
	if answer == encryptOff || answer == encryptOn {
		err = c.handshake(ctx)
	}
	return answer == encryptOff, err
}

func (c *conn) loginMessage() (message, error) {
	m, err := c.in.next(nil, maxLogin)
	if err == nil && m.tooLarge {
		err = fmt.Errorf("%w: more than %d bytes before the login", errFraming, maxLogin)
	}
	if errors.Is(err, errFraming) {
		c.refuse(Errors{malformed(err)})
	}
	return m, err
}

func (c *conn) unexpected(kind byte) error {
	err := fmt.Errorf("%w: type %d before the login", errFraming, kind)
	c.refuse(Errors{malformed(err)})
	return err
}

// decide calls the Handler and answers the client.
func (c *conn) decide(ctx context.Context, l *Login, packetSize int) error {
	c.version = l.Version
	if beforeTDS72(l.Version) {
		c.refuse(Errors{{Number: 18456, Class: 14, Message: fmt.Sprintf(
			"Login failed: this server speaks TDS 7.2 to 7.4, and the client asks for version 0x%08X. Set the client to 7.2 or later.", l.Version)}})
		return fmt.Errorf("%w: version 0x%08X", errRefused, l.Version)
	}
	c.version = negotiatedVersion(l.Version)
	if c.full {
		c.refuse(Errors{full(c.srv.maxConnections())})
		return errFull
	}
	sess, reply, err := c.srv.Handler.Login(ctx, l)
	if err != nil {
		c.serverName = reply.ServerName
		c.refuse(loginErrors(err, l.User))
		return fmt.Errorf("%w: user %q: %w", errRefused, l.User, err)
	}
	c.session, c.serverName = sess, reply.ServerName
	if !c.srv.slots.loggedIn(c) {
		return errEvicted
	}
	size := negotiatedPacketSize(packetSize)
	c.out.tokens = appendLoginReply(c.out.tokens, reply, size, c.version)
	if err := c.out.finish(); err != nil {
		return err
	}
	c.out.size = size
	return nil
}

// loginErrors returns the errors for a refused client. A cause that is not a SQL error is not sent, because
// it may contain information that the client must not have.
func loginErrors(err error, user string) Errors {
	_, many := errors.AsType[Errors](err)
	_, one := errors.AsType[*Error](err)
	if many || one {
		return messagesOf(err)
	}
	return Errors{{Number: 18456, Class: 14, Message: "Login failed for user '" + user + "'."}}
}

// appendLoginReply appends the reply to a login, in the order that go-mssqldb, System.Data.SqlClient, FreeTDS
// and tedious accept in tests.
func appendLoginReply(b []byte, r LoginReply, packetSize int, version uint32) []byte {
	for _, m := range r.Messages {
		token := byte(tokenError)
		if m.Class <= maxInfoClass {
			token = tokenInfo
		}
		b = appendMessage(b, token, m, r.ServerName, version)
	}
	b = appendDatabase(b, "master", r.Database, r.ServerName, version)
	b = appendEnvBytes(b, envCollation, []byte(collation), nil)
	b = appendEnvText(b, envLanguage, "us_english", "")
	b = appendMessage(b, tokenInfo, &Error{Number: 5703, Message: "Changed language setting to us_english."}, r.ServerName, version)
	b = appendEnvText(b, envPacketSize, strconv.Itoa(packetSize), strconv.Itoa(defaultPacketSize))
	if r.Partner != "" {
		b = appendEnvText(b, envPartner, r.Partner, "")
	}
	b = appendLoginAck(b, version)
	return appendDone(b, tokenDone, 0, 0, 0, version)
}

// appendDatabase appends the ENVCHANGE and INFO for a change of database.
func appendDatabase(b []byte, from, to, server string, version uint32) []byte {
	b = appendEnvText(b, envDatabase, to, from)
	changed := &Error{Number: 5701, State: 2, Message: "Changed database context to '" + to + "'."}
	return appendMessage(b, tokenInfo, changed, server, version)
}

// refuse sends the client the reason why its connection ends. An error of the write is ignored.
func (c *conn) refuse(es Errors) {
	c.out.tokens = c.out.tokens[:headerSize]
	for _, e := range es {
		c.out.tokens = appendMessage(c.out.tokens, tokenError, e, c.serverName, c.version)
	}
	c.out.tokens = appendDone(c.out.tokens, tokenDone, doneError, 0, 0, c.version)
	_ = c.out.finish()
}

// malformed returns SQL Server's error for malformed bytes.
func malformed(err error) *Error {
	return &Error{Number: 17836, Class: 20, Message: "Length specified in network packet payload did not match number of bytes read; the connection has been closed. " + err.Error()}
}
