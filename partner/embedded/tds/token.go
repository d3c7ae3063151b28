package tds

import (
	"encoding/binary"
	"unicode/utf16"
)

// Tokens of a reply.
const (
	tokenReturnStatus = 0x79
	tokenColumns      = 0x81
	tokenError        = 0xAA
	tokenInfo         = 0xAB
	tokenReturnValue  = 0xAC
	tokenLoginAck     = 0xAD
	tokenRow          = 0xD1
	tokenEnvChange    = 0xE3
	tokenDone         = 0xFD
	tokenDoneProc     = 0xFE
	tokenDoneInProc   = 0xFF
)

// Status bits of a DONE, DONEPROC or DONEINPROC.
const (
	doneMore        = 0x001
	doneError       = 0x002
	doneCount       = 0x010
	doneAttention   = 0x020
	doneRPCInBatch  = 0x080
	doneServerError = 0x100
)

// Kinds of ENVCHANGE. A go-mssqldb login fails on kinds other than 1 to 13 and 15 to 20.
const (
	envDatabase   = 1
	envLanguage   = 2
	envPacketSize = 4
	envCollation  = 7
	envBegin      = 8
	envCommit     = 9
	envRollback   = 10
	envPartner    = 13
	envReset      = 18
)

// tds72 is the oldest version with eight-byte counts, four-byte lines and ALL_HEADERS.
const tds72 = 0x72090002

// tds80 is the version that a TDS 8 client sends; it does not sort with the others.
const tds80 = 0x08000000

func beforeTDS72(version uint32) bool { return version < tds72 && version != tds80 }

// fitUTF16 returns s truncated to n UTF-16 units.
func fitUTF16(s string, n int) string {
	if len(s) <= n { // never more units than bytes
		return s
	}
	for i, r := range s {
		size := max(utf16.RuneLen(r), 1)
		if n -= size; n < 0 {
			return s[:i]
		}
	}
	return s
}

// appendBVarChar appends a string with its length in characters in one byte; a longer one is
// truncated.
func appendBVarChar(b []byte, s string) []byte {
	at := len(b)
	b = appendUTF16(append(b, 0), fitUTF16(s, 255))
	b[at] = byte((len(b) - at - 1) / 2)
	return b
}

// appendUSVarChar appends a string with its length in characters in two bytes, truncated to
// most.
func appendUSVarChar(b []byte, s string, most int) []byte {
	at := len(b)
	b = appendUTF16(append(b, 0, 0), fitUTF16(s, most))
	binary.LittleEndian.PutUint16(b[at:], uint16((len(b)-at-2)/2))
	return b
}

// appendSized appends a token whose length follows its first byte.
func appendSized(b []byte, token byte, body func([]byte) []byte) []byte {
	at := len(b)
	b = body(append(b, token, 0, 0))
	binary.LittleEndian.PutUint16(b[at+1:], uint16(len(b)-at-3))
	return b
}

// appendEnvText appends an ENVCHANGE with two strings.
func appendEnvText(b []byte, kind byte, to, from string) []byte {
	return appendSized(b, tokenEnvChange, func(b []byte) []byte {
		return appendBVarChar(appendBVarChar(append(b, kind), to), from)
	})
}

// appendEnvBytes appends an ENVCHANGE with two byte strings.
func appendEnvBytes(b []byte, kind byte, to, from []byte) []byte {
	return appendSized(b, tokenEnvChange, func(b []byte) []byte {
		b = append(append(b, kind, byte(len(to))), to...)
		return append(append(b, byte(len(from))), from...)
	})
}

// appendTransaction appends the ENVCHANGE for the begin (kind 8) or end (9, 10) of a
// transaction.
func appendTransaction(b []byte, kind byte, id uint64) []byte {
	raw := binary.LittleEndian.AppendUint64(nil, id)
	if kind == envBegin {
		return appendEnvBytes(b, kind, raw, nil)
	}
	return appendEnvBytes(b, kind, nil, raw)
}

// maxMessageText limits the characters of a message's text, so that its token stays below 64
// KiB.
const maxMessageText = 16 << 10

// appendMessage appends an ERROR or INFO. Clients before 7.2 have two bytes for the line.
func appendMessage(b []byte, token byte, e *Error, server string, version uint32) []byte {
	class := e.Class
	if token == tokenError && class <= maxInfoClass { // clients do not take a message of such a class as an error
		class = 16
	}
	if e.Server != "" {
		server = e.Server
	}
	return appendSized(b, token, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(b, uint32(e.Number))
		b = append(b, max(e.State, 1), class)
		b = appendUSVarChar(b, e.Message, maxMessageText)
		b = appendBVarChar(appendBVarChar(b, server), e.Proc)
		line := max(e.Line, 1)
		if beforeTDS72(version) {
			return binary.LittleEndian.AppendUint16(b, uint16(line))
		}
		return binary.LittleEndian.AppendUint32(b, uint32(line))
	})
}

// appendDone appends a DONE, DONEPROC or DONEINPROC:
//
//	token 1 | status 2 | current command 2 | count 8 (4 before 7.2)
func appendDone(b []byte, token byte, status, command uint16, count uint64, version uint32) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, token), status)
	b = binary.LittleEndian.AppendUint16(b, command)
	if beforeTDS72(version) {
		return binary.LittleEndian.AppendUint32(b, uint32(count))
	}
	return binary.LittleEndian.AppendUint64(b, count)
}

// appendLoginAck appends the LOGINACK with the version in use, big-endian.
func appendLoginAck(b []byte, version uint32) []byte {
	return appendSized(b, tokenLoginAck, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(append(b, 1), version)
		b = appendBVarChar(b, "Microsoft SQL Server")
		return append(b, serverVersion[:4]...)
	})
}

// columnFlags: nullable, and unknown whether updatable.
const columnFlags = 0x0009

// appendColumns appends the COLMETADATA of a result set.
func appendColumns(b []byte, cols []Column) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, tokenColumns), uint16(len(cols)))
	for _, c := range cols {
		b = binary.LittleEndian.AppendUint32(b, 0) // user type
		b = binary.LittleEndian.AppendUint16(b, columnFlags)
		b = appendTypeInfo(b, c.Type)
		switch c.Type.kind {
		case KindImage, KindText, KindNText:
			b = append(b, 0) // parts of the table's name
		}
		b = appendBVarChar(b, c.Name)
	}
	return b
}

// appendReturnValue appends the value of an output parameter. A type that cannot be one (image,
// text, ntext) is sent as the corresponding (max) type.
func appendReturnValue(b []byte, ordinal uint16, name string, t Type, v any) ([]byte, error) {
	switch t.kind {
	case KindImage:
		t = VarBinaryMax
	case KindText:
		t = VarCharMax
	case KindNText:
		t = NVarCharMax
	}
	b = binary.LittleEndian.AppendUint16(append(b, tokenReturnValue), ordinal)
	b = append(appendBVarChar(b, name), 1)    // 1: output parameter
	b = append(b, 0, 0, 0, 0, columnFlags, 0) // user type, flags
	return appendValue(appendTypeInfo(b, t), t, v, false)
}
