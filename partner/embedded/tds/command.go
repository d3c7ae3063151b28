package tds

// Command is the command that a DONE names for its statement.
type Command uint16

// The commands that drivers evaluate. Source: the list of mssql-jdbc, which refers to the manual of SQL Server
// 2005.
const (
	CommandNone    Command = 0 // a statement whose command drivers do not evaluate
	CommandSelect  Command = 0xC1
	CommandInsert  Command = 0xC3
	CommandDelete  Command = 0xC4
	CommandUpdate  Command = 0xC5
	CommandMerge   Command = 0x117
	CommandExecute Command = 0xE0

	CommandCreateTable     Command = 0xC6
	CommandDropTable       Command = 0xC7
	CommandCreateIndex     Command = 0xC8
	CommandDropIndex       Command = 0xC9
	CommandCreateDatabase  Command = 0xCB
	CommandDropDatabase    Command = 0xCC
	CommandGrant           Command = 0xCD
	CommandRevoke          Command = 0xCE
	CommandCreateView      Command = 0xCF
	CommandDropView        Command = 0xD0
	CommandAlterTable      Command = 0xD8
	CommandCreateProcedure Command = 0xDE
	CommandDropProcedure   Command = 0xDF
)

// notSupported returns the error for a feature of SQL Server that this server does not have. Its number is that of
// Azure SQL Database.
func notSupported(what string) *Error {
	return &Error{Number: 40510, State: 1, Class: 16, Message: what + " is not supported by the embedded partner."}
}

// cutLong returns a value of a long type truncated to most bytes, and a value of another type unchanged.
func cutLong(t Type, v any, most int64) any {
	wide := false
	switch t.kind {
	case KindImage, KindText, KindXML:
	case KindNText:
		wide = true
	case KindNVarChar:
		wide = true
		fallthrough
	case KindVarChar, KindVarBinary:
		if t.size != sizeMax {
			return v
		}
	default:
		return v
	}
	switch v := v.(type) {
	case []byte:
		if int64(len(v)) > most {
			return v[:most]
		}
	case string:
		units := int(min(most, 1<<30))
		if wide {
			units /= 2
			return fitUTF16(v, units)
		}
		return fitRunes(v, units)
	}
	return v
}

// fitRunes returns s truncated to n characters.
func fitRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
