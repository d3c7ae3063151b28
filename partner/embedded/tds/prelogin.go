package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Options of a PRELOGIN message.
const (
	optionVersion    = 0
	optionEncryption = 1
	optionMARS       = 4
	optionEnd        = 0xFF
)

// Values of the encryption option.
const (
	encryptOff          = 0 // the login packet only
	encryptOn           = 1
	encryptNotSupported = 2
	encryptRequired     = 3
	encryptStrict       = 4 // TDS 8: the connection is already encrypted
	encryptClientCert   = 0x80
)

// ServerVersion is the version that clients see, in PRELOGIN and in LOGINACK: SQL Server 2019. A session that tells
// its version otherwise too (@@VERSION, SERVERPROPERTY) must tell this one.
const ServerVersion = "15.0.2000"

// serverVersion is ServerVersion as PRELOGIN has it: major 1, minor 1, build 2 (big-endian), sub-build 2.
const serverVersion = "\x0F\x00\x07\xD0\x00\x00"

// prelogin is what the server reads from a client's PRELOGIN.
type prelogin struct {
	encryption byte
	mars       bool // the client asks for several requests at a time
}

var errPrelogin = errors.New("tds: malformed PRELOGIN")

// parsePrelogin reads the list of options, (token 1, offset 2 BE, length 2 BE)… FF, and those
// of their data that matter here.
func parsePrelogin(b []byte) (prelogin, error) {
	p := prelogin{encryption: encryptNotSupported}
	for at := 0; ; at += 5 {
		if at >= len(b) {
			return p, fmt.Errorf("%w: no end of its options", errPrelogin)
		}
		if b[at] == optionEnd {
			return p, nil
		}
		if at+5 > len(b) {
			return p, fmt.Errorf("%w: option cut off", errPrelogin)
		}
		offset, length := int(binary.BigEndian.Uint16(b[at+1:])), int(binary.BigEndian.Uint16(b[at+3:]))
		if offset+length > len(b) {
			return p, fmt.Errorf("%w: option %d lies outside", errPrelogin, b[at])
		}
		if length == 0 {
			continue
		}
		switch b[at] {
		case optionEncryption:
			p.encryption = b[offset] &^ encryptClientCert
		case optionMARS:
			p.mars = b[offset] != 0
		}
	}
}

// answerEncryption is what the server says to a client's wish.
func answerEncryption(client byte, haveTLS bool) byte {
	switch {
	case client == encryptStrict:
		return encryptStrict
	case !haveTLS, client == encryptNotSupported:
		return encryptNotSupported
	case client == encryptOff:
		return encryptOff
	}
	return encryptOn
}

// appendPrelogin is the server's PRELOGIN: version, encryption, and no MARS if the client asked for it.
func appendPrelogin(b []byte, encryption byte, mars bool) []byte {
	options := 2
	if mars {
		options = 3
	}
	data := options*5 + 1
	b = append(b, optionVersion, 0, byte(data), 0, byte(len(serverVersion)))
	b = append(b, optionEncryption, 0, byte(data+len(serverVersion)), 0, 1)
	if mars {
		b = append(b, optionMARS, 0, byte(data+len(serverVersion)+1), 0, 1)
	}
	b = append(b, optionEnd)
	b = append(append(b, serverVersion...), encryption)
	if mars {
		b = append(b, 0)
	}
	return b
}
