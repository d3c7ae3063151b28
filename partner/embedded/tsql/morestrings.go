package tsql

import (
	"database/sql/driver"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxText is how many characters a string function makes that is given no max type.
const maxText = 8000

// reverse is REVERSE(x).
func reverse(args []driver.Value) (driver.Value, *Error) {
	runes := []rune(textOf(args[0]))
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes), nil
}

// replicate is REPLICATE(x, n): NULL for a negative number, no more than 8,000 bytes.
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

// spaces is SPACE(n).
func spaces(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[0])
	if err != nil || n < 0 {
		return nil, err
	}
	return strings.Repeat(" ", int(min(n, maxText))), nil
}

// stuff is STUFF(x, start, length, with), start counting from 1; NULL where it starts outside of x. A with of NULL is nothing.
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

// patIndex is PATINDEX(pattern, x): where the pattern first matches, from 1; 0: nowhere.
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
	// Behind the leading % the rest must match from a place on.
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

// character is CHAR(n): NULL outside of 0 to 255.
func character(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[0])
	if err != nil || n < 0 || n > 255 {
		return nil, err
	}
	return string(rune(n)), nil
}

// unicodeCharacter is NCHAR(n): NULL outside of 0 to 65535.
func unicodeCharacter(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[0])
	if err != nil || n < 0 || n > math.MaxUint16 {
		return nil, err
	}
	return fromCharacters([]uint16{uint16(n)}), nil
}

// codeUnit is UNICODE(x): the first UTF-16 unit; NULL of the empty string.
func codeUnit(args []driver.Value) (driver.Value, *Error) {
	units := characters(args[0])
	if len(units) == 0 {
		return nil, nil
	}
	return int64(units[0]), nil
}

// str is STR(x, length, decimals): right-justified, stars where the whole part has no room.
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

// roundedText writes x with so many decimals. It is rounded as the digits that one sees: 1.005 is 1.01.
func roundedText(x float64, decimals int) string {
	return strconv.FormatFloat(roundTo(x, decimals), 'f', decimals, 64)
}

// concatWith is CONCAT_WS(separator, …): NULLs are left out.
func concatWith(args []driver.Value) (driver.Value, *Error) {
	var parts []string
	for _, a := range args[1:] {
		if a != nil {
			parts = append(parts, textOf(a))
		}
	}
	return strings.Join(parts, textOf(args[0])), nil
}

// translate is TRANSLATE(x, characters, with): each of the characters becomes the one in its place.
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

// quoteName is QUOTENAME(x [, mark]); NULL where the mark is none, or the name is too long.
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

// parseName is PARSENAME(name, part): 1 is the object, 2 the schema, 3 the database, 4 the server.
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

// soundexCodes has the digits of the consonants; those of 0 are left out.
const soundexCodes = "01230120022455012623010202"

// soundex is SOUNDEX(x): the first letter and three digits.
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
		if r != 'H' && r != 'W' { // they stand between two of one digit as if they were not there
			last = digit
		}
	}
	return string(append(code, "0000"[len(code):]...))
}

// difference is DIFFERENCE(a, b): how many places of their SOUNDEX are the same.
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

// isNumeric is ISNUMERIC(x): 1 where x can become a number of some type, a sign of currency and commas included.
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

// choose is CHOOSE(n, a, b, …).
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

// continued is a string whose lines that end in a backslash go on with the next.
func continued(text string) string {
	if !strings.Contains(text, "\\\n") && !strings.Contains(text, "\\\r\n") {
		return text
	}
	return strings.NewReplacer("\\\r\n", "", "\\\n", "").Replace(text)
}
