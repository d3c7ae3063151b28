package tsql

import "strings"

// requote converts texts in double quotes to strings where QUOTED_IDENTIFIER is OFF: from the batch's beginning if
// identifiers is false, and after each SET of the option according to it. The option takes effect when a batch is
// parsed, wherever its SET is. Source: the manual's SET QUOTED_IDENTIFIER.
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

// quotedOption returns the ON or OFF of a SET that includes QUOTED_IDENTIFIER; "" for another SET.
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
