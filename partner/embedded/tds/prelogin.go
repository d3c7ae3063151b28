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
	encryptOff          = 0 // only the login packet
	encryptOn           = 1
	encryptNotSupported = 2
	encryptRequired     = 3
	encryptStrict       = 4 // TDS 8: the connection is already encrypted
	encryptClientCert   = 0x80
)

// ServerVersion is the version that clients see in PRELOGIN and in LOGINACK: SQL Server 2019. A session that shows
// its version elsewhere (@@VERSION, SERVERPROPERTY) must show this one.
const ServerVersion = "15.0.2000"

// serverVersion is ServerVersion in the format of PRELOGIN: major 1, minor 1, build 2 (big-endian), sub-build 2.
const serverVersion = "\x0F\x00\x07\xD0\x00\x00"

// prelogin is the part of a client's PRELOGIN that the server uses.
type prelogin struct {
	encryption byte
	mars       bool // the client requests multiple active result sets
}

var errPrelogin = errors.New("tds: malformed PRELOGIN")

// parsePrelogin parses the list of options, (token 1, offset 2 BE, length 2 BE)… FF, and the data of those that the
// server uses.
func parsePrelogin(b []byte) (prelogin, error) {
	p := prelogin{encryption: encryptNotSupported}
	for at := 0; ; at += 5 {
		if at >= len(b) {
			return p, fmt.Errorf("%w: options without an end", errPrelogin)
		}
		if b[at] == optionEnd {
			return p, nil
		}
		if at+5 > len(b) {
			return p, fmt.Errorf("%w: truncated option", errPrelogin)
		}
		offset, length := int(binary.BigEndian.Uint16(b[at+1:])), int(binary.BigEndian.Uint16(b[at+3:]))
		if offset+length > len(b) {
			return p, fmt.Errorf("%w: option %d is out of bounds", errPrelogin, b[at])
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

// answerEncryption returns the server's answer to the client's encryption option.
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

// appendPrelogin appends the server's PRELOGIN: version, encryption, and no MARS if the client requested it.
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
