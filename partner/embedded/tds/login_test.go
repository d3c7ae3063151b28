package tds

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

func TestLogin_Encryption(t *testing.T) {
	tests := []struct {
		name, options string
		serverTLS     bool
		encrypted     bool
		fails         bool
	}{
		{name: "none", options: "encrypt=disable", serverTLS: true},
		{name: "login packet only", options: "encrypt=false&trustservercertificate=true", serverTLS: true, encrypted: true},
		{name: "everything", options: "encrypt=true&trustservercertificate=true", serverTLS: true, encrypted: true},
		{name: "TDS 8", options: "encrypt=strict&certificate=" + certificateFile(t), serverTLS: true, encrypted: true},
		{name: "not supported, not required", options: "encrypt=false"},
		{name: "not supported, but required", options: "encrypt=true&trustservercertificate=true", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{batch: func(_ context.Context, text string, w *Response) error {
				w.Columns(Column{"text", NVarCharMax})
				return w.Row(text)
			}}
			s := &Server{Handler: f}
			if tt.serverTLS {
				s.TLS = testTLS(t)
			}
			db := open(t, start(t, s), tt.options)
			var got string
			err := db.QueryRowContext(bound(t), "select 'x'").Scan(&got)
			if tt.fails {
				if err == nil {
					t.Fatal("logged in without the encryption that the client requires")
				}
				return
			}
			if err != nil || got != "select 'x'" {
				t.Fatalf("got %q, %v", got, err)
			}
			if l := f.lastLogin(); l.Encrypted != tt.encrypted {
				t.Errorf("Encrypted = %v, want %v", l.Encrypted, tt.encrypted)
			}
		})
	}
}

func TestLogin_TLSConfigIsNotChanged(t *testing.T) {
	cfg := testTLS(t)
	cfg.MinVersion = tls.VersionTLS13 // impossible inside TDS 7, and ignored there
	f := &fake{}
	db := open(t, start(t, &Server{Handler: f, TLS: cfg}), "encrypt=true&trustservercertificate=true")
	if err := db.PingContext(bound(t)); err != nil {
		t.Fatal(err)
	}
	if cfg.MinVersion != tls.VersionTLS13 || cfg.MaxVersion != 0 || cfg.NextProtos != nil {
		t.Errorf("the caller's configuration was changed: %+v", cfg)
	}
}

func TestLogin_Fields(t *testing.T) {
	f := &fake{}
	db := serve(t, f)
	if err := db.PingContext(bound(t)); err != nil {
		t.Fatal(err)
	}
	l := f.lastLogin()
	if l.User != "sa" || l.Password != "päss€" || l.Database != "ASPState" || l.AppName != "web" || l.ServerName != "127.0.0.1" {
		t.Errorf("login = %+v", l)
	}
	if l.DatabaseFatal || l.IntegratedSecurity || l.ReadOnlyIntent || l.Version != 0x74000004 || l.SPID < firstSPID || l.Conn == nil {
		t.Errorf("login = %+v", l)
	}
}

func TestLogin_Refused(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want []int32
	}{
		{"with one error", &Error{Number: 18456, Class: 14, Message: "Login failed for user 'sa'."}, []int32{18456}},
		{"with two errors", Errors{
			{Number: 4060, Class: 11, Message: `Cannot open database "ASPState" requested by the login. The login failed.`},
			{Number: 18456, Class: 14, Message: "Login failed for user 'sa'."},
		}, []int32{4060, 18456}},
		{"with an error that is not a SQL error", errors.New("disk of the password file is on fire"), []int32{18456}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := serve(t, &fake{login: func(context.Context, *Login) (LoginReply, error) { return LoginReply{}, tt.err }})
			err := db.PingContext(bound(t))
			if got := sqlNumbers(err); !slices.Equal(got, tt.want) {
				t.Errorf("numbers %v, want %v (%v)", got, tt.want, err)
			}
		})
	}
}

func TestLogin_ErrorWithTheLogin(t *testing.T) {
	f := &fake{login: func(_ context.Context, l *Login) (LoginReply, error) {
		return LoginReply{Database: "master", Messages: []*Error{{Number: 4063, Class: 11, Message: "Cannot open database"}}}, nil
	}}
	db := serve(t, f)
	if got := sqlNumbers(db.PingContext(bound(t))); !slices.Equal(got, []int32{4063}) {
		t.Errorf("numbers %v, want 4063, as go-mssqldb takes any error for a failed login", got)
	}
}

func TestLogin_Timeout(t *testing.T) {
	for _, sent := range []int{0, 3, 20} {
		client, server := net.Pipe()
		s := &Server{Handler: &fake{}, LoginTimeout: 20 * time.Millisecond}
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), server) }()
		go func() { _, _ = client.Write(preloginPacket(encryptNotSupported)[:sent]) }()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%d bytes sent: no error", sent)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%d bytes sent: still waiting for the rest", sent)
		}
		client.Close()
	}
}

func TestLogin_OldVersionsGetAnError(t *testing.T) {
	for _, version := range []uint32{0x70000000, 0x71000001} {
		s := &Server{Handler: &fake{}}
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), server) }()
		go func() { _, _ = client.Write(loginPacket(version)) }()
		reply, _ := io.ReadAll(client)
		if err := <-done; !errors.Is(err, errRefused) {
			t.Errorf("version %x: %v", version, err)
		}
		want := appendMessage(nil, tokenError, &Error{Number: 18456}, "", version)
		if len(reply) < 20 || reply[headerSize] != tokenError || reply[headerSize+3] != want[3] || reply[headerSize+4] != want[4] {
			t.Errorf("version %x: reply % x", version, reply)
		}
		// Before 7.2 the count of a DONE has four bytes.
		if tail := reply[len(reply)-9:]; tail[0] != tokenDone || tail[1] != doneError {
			t.Errorf("version %x: reply ends % x", version, tail)
		}
	}
}

func TestLogin_PartnerAndPacketSize(t *testing.T) {
	reply := appendLoginReply(nil, LoginReply{ServerName: "A", Database: "ASPState", Partner: "PARTNERX"}, 8000, 0x74000004)
	// Both are captured from a real server.
	partner := "\xE3\x13\x00\x0D\x08P\x00A\x00R\x00T\x00N\x00E\x00R\x00X\x00\x00"
	collationChange := "\xE3\x08\x00\x07\x05\x09\x04\xD0\x00\x34\x00"
	for _, want := range []string{partner, collationChange, "\x048\x000\x000\x000\x00"} {
		if !containsBytes(reply, want) {
			t.Errorf("reply lacks % x:\n% x", want, reply)
		}
	}
}
