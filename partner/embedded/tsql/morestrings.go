package tsql

import (
	"database/sql/driver"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxText limits the characters of a string function's result if no argument has a (max) type.
const maxText = 8000

// reverse implements REVERSE(x).
func reverse(args []driver.Value) (driver.Value, *Error) {
	runes := []rune(textOf(args[0]))
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes), nil
}

// replicate implements REPLICATE(x, n): NULL for a negative number, at most 8,000 bytes.
func replicate(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[1])
	if err != nil || n < 0 {
		return nil, err
	}
	units := characters(args[0])
	if len(units) == 0 {
		return "", nil
	}
	most := int64(maxText)
	switch textOf(args[2]) {
	case "max":
		most = maxResult
	case "nvarchar", "nchar":
		most = maxText / 2
	}
	if whole := int64(len(units)); n*whole > most {
		text := strings.Repeat(textOf(args[0]), int(most/whole)+1)
		return slice(text, 0, most), nil
	}
	return strings.Repeat(textOf(args[0]), int(n)), nil
}

// spaces implements SPACE(n).
func spaces(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[0])
	if err != nil || n < 0 {
		return nil, err
	}
	return strings.Repeat(" ", int(min(n, maxText))), nil
}

// stuff implements STUFF(x, start, length, with), with start counted from 1; NULL if start is outside of x. A NULL as
// with is the empty string.
func stuff(args []driver.Value) (driver.Value, *Error) {
	if args[0] == nil || args[1] == nil || args[2] == nil {
		return nil, nil
	}
	start, err := count(args[1])
	if err != nil {
		return nil, err
	}
	n, err := count(args[2])
	if err != nil {
		return nil, err
	}
	units := characters(args[0])
	if start < 1 || start > int64(len(units)) || n < 0 {
		return nil, nil
	}
	end := min(start-1+n, int64(len(units)))
	return fromCharacters(units[:start-1]) + textOf(args[3]) + fromCharacters(units[end:]), nil
}

// patIndex implements PATINDEX(pattern, x): the position of the first match, from 1; 0: no match.
func patIndex(args []driver.Value) (driver.Value, *Error) {
	places := compileLike(textOf(args[0]), 0)
	if len(places) == 0 || !places[0].any {
		if matchLike(places, textOf(args[1])) {
			return int64(1), nil
		}
		return int64(0), nil
	}
	if len(places) == 1 {
		return int64(1), nil
	}
	// After a leading % the rest of the pattern must match from some position on.
	text, at := textOf(args[1]), int64(1)
	for i, r := range text {
		if matchLike(places[1:], text[i:]) {
			return at, nil
		}
		at += int64(utf16.RuneLen(r))
	}
	if matchLike(places[1:], "") {
		return at, nil
	}
	return int64(0), nil
}

// character implements CHAR(n): NULL outside of 0 to 255.
func character(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[0])
	if err != nil || n < 0 || n > 255 {
		return nil, err
	}
	return string(rune(n)), nil
}

// unicodeCharacter implements NCHAR(n): NULL outside of 0 to 65535.
func unicodeCharacter(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[0])
	if err != nil || n < 0 || n > math.MaxUint16 {
		return nil, err
	}
	return fromCharacters([]uint16{uint16(n)}), nil
}

// codeUnit implements UNICODE(x): the first UTF-16 unit; NULL for the empty string.
func codeUnit(args []driver.Value) (driver.Value, *Error) {
	units := characters(args[0])
	if len(units) == 0 {
		return nil, nil
	}
	return int64(units[0]), nil
}

// str implements STR(x, length, decimals): right-justified, asterisks if the integer part is too long.
func str(args []driver.Value) (driver.Value, *Error) {
	x, err := number(args[0])
	if err != nil {
		return nil, err
	}
	width, decimals := int64(10), int64(0)
	for i, into := range []*int64{&width, &decimals} {
		if len(args) > i+1 {
			if *into, err = count(args[i+1]); err != nil {
				return nil, err
			}
		}
	}
	if width < 1 || width > maxText || decimals < 0 {
		return nil, nil
	}
	decimals = min(decimals, 16)
	whole, _, _ := strings.Cut(roundedText(x, int(decimals)), ".")
	if int64(len(whole)) > width {
		return strings.Repeat("*", int(width)), nil
	}
	text := roundedText(x, int(max(0, min(decimals, width-int64(len(whole))-1))))
	return strings.Repeat(" ", int(width)-len(text)) + text, nil
}

// roundedText returns x with that many decimals, rounded by its decimal text: 1.005 becomes 1.01.
func roundedText(x float64, decimals int) string {
	return strconv.FormatFloat(roundTo(x, decimals), 'f', decimals, 64)
}

// concatWith implements CONCAT_WS(separator, …): it omits NULLs.
func concatWith(args []driver.Value) (driver.Value, *Error) {
	var parts []string
	for _, a := range args[1:] {
		if a != nil {
			parts = append(parts, textOf(a))
		}
	}
	return strings.Join(parts, textOf(args[0])), nil
}

// translate implements TRANSLATE(x, characters, with): it replaces each of the characters by the one at the same
// position of with.
func translate(args []driver.Value) (driver.Value, *Error) {
	from, to := folded(characters(args[1])), characters(args[2])
	if len(from) != len(to) {
		return nil, failure(9828, 16, "The second and third arguments of the TRANSLATE built-in function must contain an equal number of characters.")
	}
	text := characters(args[0])
	search := folded(text)
	for i, u := range search {
		for j, f := range from {
			if u == f {
				text[i] = to[j]
				break
			}
		}
	}
	return fromCharacters(text), nil
}

// quoteName implements QUOTENAME(x [, mark]); NULL if the mark is invalid, or the name is too long.
func quoteName(args []driver.Value) (driver.Value, *Error) {
	text, mark := textOf(args[0]), "["
	if len(args) > 1 {
		mark = textOf(args[1])
	}
	pairs := map[string]string{"[": "[]", "]": "[]", "'": "''", `"`: `""`, "(": "()", ")": "()", "<": "<>", ">": "<>", "{": "{}", "}": "{}", "`": "``"}
	pair := pairs[mark]
	if pair == "" || len(characters(text)) > maxName {
		return nil, nil
	}
	return pair[:1] + strings.ReplaceAll(text, pair[1:], pair[1:]+pair[1:]) + pair[1:], nil
}

// parseName implements PARSENAME(name, part): 1 is the object, 2 the schema, 3 the database, 4 the server.
func parseName(args []driver.Value) (driver.Value, *Error) {
	part, err := count(args[1])
	if err != nil || part < 1 || part > 4 {
		return nil, err
	}
	tokens, failed := tokenize(textOf(args[0]))
	if failed != nil {
		return nil, nil
	}
	p := &parser{tokens: tokens, in: &inputs{}}
	n := p.name()
	if !p.atEnd() || p.err != nil {
		return nil, nil
	}
	if text := []string{n.Object, n.Schema, n.Database, n.Server}[part-1]; text != "" {
		return text, nil
	}
	return nil, nil
}

// soundexCodes has the digits of the letters; those with 0 are omitted.
const soundexCodes = "01230120022455012623010202"

// soundex implements SOUNDEX(x): the first letter and three digits.
func soundex(args []driver.Value) (driver.Value, *Error) { return soundexOf(textOf(args[0])), nil }

func soundexOf(text string) string {
	code, last := make([]byte, 0, 4), byte('0')
	for _, r := range strings.ToUpper(text) {
		if r < 'A' || r > 'Z' {
			break
		}
		digit := soundexCodes[r-'A']
		switch {
		case len(code) == 0:
			code = append(code, byte(r))
		case digit != '0' && digit != last && len(code) < 4:
			code = append(code, digit)
		}
		if r != 'H' && r != 'W' { // equal digits around an H or W count once
			last = digit
		}
	}
	return string(append(code, "0000"[len(code):]...))
}

// difference implements DIFFERENCE(a, b): the number of equal positions of their SOUNDEX codes.
func difference(args []driver.Value) (driver.Value, *Error) {
	a, b := soundexOf(textOf(args[0])), soundexOf(textOf(args[1]))
	same := int64(0)
	for i := range 4 {
		if a[i] == b[i] {
			same++
		}
	}
	return same, nil
}

// isNumeric implements ISNUMERIC(x): 1 if x can be converted to some numeric type; a currency sign and commas are
// allowed.
func isNumeric(args []driver.Value) (driver.Value, *Error) {
	text, ok := args[0].(string)
	if !ok {
		if _, isBinary := args[0].([]byte); isBinary || args[0] == nil {
			return int64(0), nil
		}
		return int64(1), nil
	}
	text = strings.TrimSpace(text)
	digits := strings.NewReplacer("$", "", "£", "", "€", "", ",", "").Replace(text)
	if _, err := strconv.ParseFloat(digits, 64); err != nil || strings.ContainsAny(digits, "xXpP_iInN") {
		return int64(0), nil
	}
	return int64(1), nil
}

// choose implements CHOOSE(n, a, b, …).
func choose(args []driver.Value) (driver.Value, *Error) {
	if args[0] == nil {
		return nil, nil
	}
	n, err := count(args[0])
	if err != nil || n < 1 || n >= int64(len(args)) {
		return nil, err
	}
	return args[n], nil
}

// continued joins each line of a string that ends in a backslash with the next line.
func continued(text string) string {
	if !strings.Contains(text, "\\\n") && !strings.Contains(text, "\\\r\n") {
		return text
	}
	return strings.NewReplacer("\\\r\n", "", "\\\n", "").Replace(text)
}
