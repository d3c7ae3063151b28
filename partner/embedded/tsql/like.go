package tsql

import (
	"database/sql/driver"
	"unicode"
	"unicode/utf8"
)

// matcher is one position of a LIKE pattern.
type matcher struct {
	any    bool // % : any number of characters
	one    bool // _ : one character
	negate bool // [^…]
	ranges []runeRange
}

// runeRange is a range of a [set], both ends included, in lower case.
type runeRange struct{ low, high rune }

// matches reports whether the matcher accepts the character.
func (m matcher) matches(r rune) bool {
	if m.one {
		return true
	}
	r = unicode.ToLower(r)
	for _, rr := range m.ranges {
		if rr.low <= r && r <= rr.high {
			return !m.negate
		}
	}
	return m.negate
}

// compileLike parses a pattern: % _ [abc] [a-z] [^a]; after escape (0 for none) a character
// stands for itself.
func compileLike(pattern string, escape rune) []matcher {
	var places []matcher
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case escape != 0 && r == escape && i+1 < len(runes):
			i++
			places = append(places, literal(runes[i]))
		case r == '%':
			if n := len(places); n == 0 || !places[n-1].any {
				places = append(places, matcher{any: true})
			}
		case r == '_':
			places = append(places, matcher{one: true})
		case r == '[':
			set, length := compileSet(runes[i+1:])
			if length == 0 { // never closed: the pattern matches no text
				return []matcher{{}}
			}
			places = append(places, set)
			i += length
		default:
			places = append(places, literal(r))
		}
	}
	return places
}

// literal matches one character, in either case.
func literal(r rune) matcher {
	r = unicode.ToLower(r)
	return matcher{ranges: []runeRange{{r, r}}}
}

// compileSet parses a set after its [ and returns its length including its ], 0 if the ] is
// missing.
func compileSet(runes []rune) (matcher, int) {
	var m matcher
	i := 0
	if len(runes) > 0 && runes[0] == '^' {
		m.negate = true
		i++
	}
	for start := i; i < len(runes); i++ {
		if runes[i] == ']' && i > start {
			return m, i + 1
		}
		low, high := runes[i], runes[i]
		if i+2 < len(runes) && runes[i+1] == '-' && runes[i+2] != ']' {
			high = runes[i+2]
			i += 2
		}
		m.ranges = append(m.ranges, runeRange{unicode.ToLower(low), unicode.ToLower(high)})
	}
	return m, 0
}

// matchLike matches the whole text. On a mismatch it backtracks to the last % only. That is
// enough, and limits the work to text times pattern.
func matchLike(places []matcher, text string) bool {
	place, pos := 0, 0
	backPlace, backPos := -1, 0
	for pos < len(text) {
		r, size := utf8.DecodeRuneInString(text[pos:])
		switch {
		case place < len(places) && places[place].any:
			backPlace, backPos = place, pos
			place++
			continue
		case place < len(places) && places[place].matches(r):
			place++
			pos += size
			continue
		case backPlace < 0:
			return false
		}
		_, size = utf8.DecodeRuneInString(text[backPos:])
		backPos += size
		place, pos = backPlace+1, backPos
	}
	for place < len(places) && places[place].any {
		place++
	}
	return place == len(places)
}

// likeFunction implements LIKE: pattern, text [, escape].
func likeFunction(args []driver.Value) (driver.Value, *Error) {
	var escape rune
	if len(args) > 2 {
		text := textOf(args[2])
		r, size := utf8.DecodeRuneInString(text)
		if size == 0 || size != len(text) {
			return nil, failure(506, 16, "The invalid escape character \"%s\" was specified in a LIKE predicate.", clip(text, 20))
		}
		escape = r
	}
	if matchLike(compileLike(textOf(args[0]), escape), textOf(args[1])) {
		return int64(1), nil
	}
	return int64(0), nil
}

// Like reports whether text matches a LIKE pattern, as catalogue procedures use it.
func Like(pattern, text string) bool { return matchLike(compileLike(pattern, 0), text) }
