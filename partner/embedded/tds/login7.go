package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// login7Fixed is the length of the part of LOGIN7 before its strings.
const login7Fixed = 94

// Offsets in that part.
const (
	atVersion     = 4
	atPacketSize  = 8
	atOptions1    = 24
	atOptions2    = 25
	atTypeFlags   = 26
	atHostName    = 36
	atUserName    = 40
	atPassword    = 44
	atAppName     = 48
	atServerName  = 52
	atLibrary     = 60
	atLanguage    = 64
	atDatabase    = 68
	databaseFatal = 0x40 // OptionFlags1
	integrated    = 0x80 // OptionFlags2
	readOnly      = 0x20 // TypeFlags
)

var errLogin7 = errors.New("tds: malformed LOGIN7")

// parseLogin7 parses a client's LOGIN7. For a client version before 7.2 it parses only the
// version, because the login will be refused. packetSize is the size that the client requests.
func parseLogin7(b []byte) (l *Login, packetSize int, err error) {
	if len(b) < atPacketSize {
		return nil, 0, fmt.Errorf("%w: %d bytes", errLogin7, len(b))
	}
	l = &Login{Version: binary.LittleEndian.Uint32(b[atVersion:])}
	if beforeTDS72(l.Version) {
		return l, 0, nil
	}
	length := binary.LittleEndian.Uint32(b)
	if len(b) < login7Fixed || length < login7Fixed || uint64(length) > uint64(len(b)) {
		return nil, 0, fmt.Errorf("%w: announces %d bytes, has %d", errLogin7, length, len(b))
	}
	b = b[:length]
	l.DatabaseFatal = b[atOptions1]&databaseFatal != 0
	l.IntegratedSecurity = b[atOptions2]&integrated != 0
	l.ReadOnlyIntent = b[atTypeFlags]&readOnly != 0
	for _, f := range []struct {
		at  int
		out *string
	}{
		{atHostName, &l.HostName}, {atUserName, &l.User}, {atPassword, &l.Password}, {atAppName, &l.AppName},
		{atServerName, &l.ServerName}, {atLibrary, &l.Library}, {atLanguage, &l.Language}, {atDatabase, &l.Database},
	} {
		raw, err := login7Field(b, f.at)
		if err != nil {
			return nil, 0, err
		}
		if f.at == atPassword {
			raw = plainPassword(raw)
		}
		*f.out = utf16String(raw)
	}
	return l, int(min(binary.LittleEndian.Uint32(b[atPacketSize:]), maxPacketSize+1)), nil
}

// login7Field returns the string whose offset and length in characters are at an offset.
func login7Field(b []byte, at int) ([]byte, error) {
	offset, length := int(binary.LittleEndian.Uint16(b[at:])), 2*int(binary.LittleEndian.Uint16(b[at+2:]))
	if length == 0 {
		return nil, nil
	}
	if offset < login7Fixed || offset+length > len(b) {
		return nil, fmt.Errorf("%w: the string at %d is out of bounds", errLogin7, at)
	}
	return b[offset : offset+length], nil
}

// plainPassword decodes a password: the halves of each byte swapped, then XOR A5.
func plainPassword(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		c ^= 0xA5
		out[i] = c<<4 | c>>4
	}
	return out
}

// negotiatedVersion returns the version of the server's reply: the client's, if it is supported.
func negotiatedVersion(client uint32) uint32 {
	switch client {
	case 0x72090002, 0x730A0003, 0x730B0003, 0x74000004, tds80:
		return client
	}
	if client>>24 == 0x72 {
		return tds72
	}
	if client>>24 == 0x73 {
		return 0x730A0003
	}
	return 0x74000004
}

// negotiatedPacketSize returns the client's packet size if it is allowed.
func negotiatedPacketSize(wish int) int {
	if wish < minPacketSize || wish > maxPacketSize {
		return defaultPacketSize
	}
	return wish
}
