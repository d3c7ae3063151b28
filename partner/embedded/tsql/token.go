package tsql

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind classifies a token.
type tokenKind uint8

const (
	endToken      tokenKind = iota
	wordToken               // an unquoted name or keyword
	quotedToken             // [name] or "name"
	variableToken           // @name, @@name
	stringToken             // 'text', N'text'
	numberToken             // 12, 1.5, 1e5
	binaryToken             // 0x1F
	symbolToken             // operators and punctuation
)

// token is a token of the batch; text is its text as written, with quotes.
type token struct {
	kind tokenKind
	line int32
	text string
}

// maxTokens limits the memory and time for a batch.
const maxTokens = 200_000

// maxName is the longest name that SQL Server accepts, in characters.
const maxName = 128

// lexer splits a batch into tokens.
type lexer struct {
	text string
	pos  int
	line int
}

// tokenize splits the whole batch; the last token is the end.
func tokenize(batch string) ([]token, *Error) {
	lx := &lexer{text: batch, line: 1}
	var tokens []token
	for {
		if err := lx.skipBlanks(); err != nil {
			return nil, err
		}
		if len(tokens) == maxTokens {
			return nil, notSupported(lx.line, "Batch", fmt.Sprintf("of more than %d tokens", maxTokens))
		}
		line := int32(lx.line)
		if lx.pos == len(batch) {
			return append(tokens, token{kind: endToken, line: line}), nil
		}
		start := lx.pos
		kind, err := lx.next()
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token{kind: kind, line: line, text: batch[start:lx.pos]})
	}
}

// skipBlanks skips white space and comments; block comments nest.
func (lx *lexer) skipBlanks() *Error {
	for lx.pos < len(lx.text) {
		rest := lx.text[lx.pos:]
		switch {
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			lx.pos += end
		case strings.HasPrefix(rest, "/*"):
			if err := lx.skipComment(); err != nil {
				return err
			}
		default:
			r, size := utf8.DecodeRuneInString(rest)
			if !unicode.IsSpace(r) && r != '\uFEFF' {
				return nil
			}
			lx.advance(size)
		}
	}
	return nil
}

// skipComment skips one /* … */ and its contents.
func (lx *lexer) skipComment() *Error {
	line := lx.line
	for depth := 0; lx.pos < len(lx.text); {
		switch rest := lx.text[lx.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			lx.pos += 2
		case strings.HasPrefix(rest, "*/"):
			lx.pos += 2
			if depth--; depth == 0 {
				return nil
			}
		default:
			lx.advance(1)
		}
	}
	return &Error{Number: 113, State: 1, Class: 15, Message: "Missing end comment mark '*/'.", Line: line}
}

// advance skips n bytes and counts their lines.
func (lx *lexer) advance(n int) {
	lx.line += strings.Count(lx.text[lx.pos:lx.pos+n], "\n")
	lx.pos += n
}

// next scans one token.
func (lx *lexer) next() (tokenKind, *Error) {
	rest := lx.text[lx.pos:]
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\'':
		return stringToken, lx.quoted(0, '\'')
	case (r == 'N' || r == 'n') && len(rest) > 1 && rest[1] == '\'':
		return stringToken, lx.quoted(1, '\'')
	case r == '[':
		return quotedToken, lx.quoted(0, ']')
	case r == '"':
		return quotedToken, lx.quoted(0, '"')
	case r == '@':
		return variableToken, lx.word(1)
	case isLetter(r):
		return wordToken, lx.word(0)
	case r == '$' && len(rest) > 1 && isLetter(rune(rest[1])): // $action
		return wordToken, lx.word(1)
	case '0' <= r && r <= '9' || r == '.' && len(rest) > 1 && isDigit(rest[1]) && !lx.afterName():
		return lx.number(rest), nil
	}
	return lx.symbol(rest)
}

// afterName reports whether the text directly before is a name, so that a period joins two
// names.
func (lx *lexer) afterName() bool {
	if lx.pos == 0 {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(lx.text[:lx.pos])
	return isNamePart(r) || r == ']' || r == '"'
}

// quoted scans a string or quoted name; skip bytes precede the opening quote.
func (lx *lexer) quoted(skip int, mark byte) *Error {
	line := lx.line
	body := lx.text[lx.pos+skip+1:]
	for i := 0; i < len(body); i++ {
		if body[i] != mark {
			continue
		}
		if i+1 < len(body) && body[i+1] == mark {
			i++
			continue
		}
		if mark != '\'' {
			if err := checkName(body[:i], line); err != nil {
				return err
			}
		}
		lx.advance(skip + 1 + i + 1)
		return nil
	}
	return &Error{Number: 105, State: 1, Class: 15, Line: line,
		Message: fmt.Sprintf("Unclosed quotation mark after the character string '%s'.", clip(body, 100))}
}

// word scans an unquoted name after skip bytes that belong to it.
func (lx *lexer) word(skip int) *Error {
	start := lx.pos
	for lx.pos += skip; lx.pos < len(lx.text); {
		r, size := utf8.DecodeRuneInString(lx.text[lx.pos:])
		if !isNamePart(r) {
			break
		}
		lx.pos += size
	}
	return checkName(lx.text[start:lx.pos], lx.line)
}

// number scans a number or a binary literal.
func (lx *lexer) number(rest string) tokenKind {
	if len(rest) > 1 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X') {
		lx.pos += 2 + span(rest[2:], isHex)
		return binaryToken
	}
	n := span(rest, isDigit)
	if n < len(rest) && rest[n] == '.' {
		n++
		n += span(rest[n:], isDigit)
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		sign := 0
		if n+1 < len(rest) && (rest[n+1] == '+' || rest[n+1] == '-') {
			sign = 1
		}
		if digits := span(rest[n+1+sign:], isDigit); digits > 0 {
			n += 1 + sign + digits
		}
	}
	lx.pos += n
	return numberToken
}

// twoByteSymbols are the operators of two characters.
var twoByteSymbols = []string{"<=", ">=", "<>", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "^=", "|=", "::"}

// symbol scans an operator or a symbol.
func (lx *lexer) symbol(rest string) (tokenKind, *Error) {
	for _, s := range twoByteSymbols {
		if strings.HasPrefix(rest, s) {
			lx.pos += 2
			return symbolToken, nil
		}
	}
	if strings.IndexByte("=<>+-*/%&|^~(),.;:$", rest[0]) >= 0 {
		lx.pos++
		return symbolToken, nil
	}
	if rest[0] == '{' { // of ODBC's escapes, which most drivers replace themselves
		return 0, notSupported(lx.line, "Clause", "{")
	}
	_, size := utf8.DecodeRuneInString(rest)
	return 0, syntaxNear(rest[:size], lx.line)
}

// checkName refuses an invalid name: too long, empty, or with a NUL character.
func checkName(name string, line int) *Error {
	if utf8.RuneCountInString(name) > maxName {
		return &Error{Number: 103, State: 4, Class: 15, Line: line,
			Message: fmt.Sprintf("The identifier that starts with '%s' is too long. Maximum length is %d.", clip(name, maxName), maxName)}
	}
	if name == "" || name == "@" || strings.IndexByte(name, 0) >= 0 {
		return syntaxNear(name, line)
	}
	return nil
}

// syntaxNear returns SQL Server's error 102.
func syntaxNear(what string, line int) *Error {
	return &Error{Number: 102, State: 1, Class: 15, Line: line,
		Message: fmt.Sprintf("Incorrect syntax near '%s'.", clip(what, 100))}
}

// clip truncates text after n characters.
func clip(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}

// span returns the number of leading bytes for which is returns true.
func span(s string, is func(byte) bool) int {
	for i := range len(s) {
		if !is(s[i]) {
			return i
		}
	}
	return len(s)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isHex(b byte) bool { return isDigit(b) || 'a' <= b|0x20 && b|0x20 <= 'f' }

func isLetter(r rune) bool { return r == '_' || r == '#' || unicode.IsLetter(r) }

func isNamePart(r rune) bool {
	return isLetter(r) || r == '@' || r == '$' || unicode.IsDigit(r)
}
