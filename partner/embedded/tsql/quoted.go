package tsql

import "strings"

// requote makes strings of what stands in double quotes where QUOTED_IDENTIFIER is OFF: from the batch's beginning if
// identifiers is false, and behind each SET of it as that says. The option works as a batch is parsed, wherever its
// SET stands. Source: the manual's SET QUOTED_IDENTIFIER.
func requote(tokens []token, identifiers bool) {
	for i := range tokens {
		t := &tokens[i]
		switch {
		case t.is("SET"):
			if value := quotedOption(tokens[i+1:]); value != "" {
				identifiers = value == "ON"
			}
		case !identifiers && t.kind == quotedToken && t.text[0] == '"':
			t.kind, t.text = stringToken, "'"+strings.ReplaceAll(t.plain(), "'", "''")+"'"
		}
	}
}

// quotedOption is the ON or OFF of a SET that sets QUOTED_IDENTIFIER, alone or among others; "" for another SET.
func quotedOption(tokens []token) string {
	found := false
	for i, t := range tokens {
		if i%2 == 1 && t.isSymbol(",") {
			continue
		}
		switch {
		case t.kind != wordToken:
			return ""
		case found && (t.is("ON") || t.is("OFF")):
			return strings.ToUpper(t.text)
		case i%2 == 1:
			return ""
		case t.is("QUOTED_IDENTIFIER"), t.is("ANSI_DEFAULTS"):
			found = true
		}
	}
	return ""
}
