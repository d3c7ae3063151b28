package embedded

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// parameter is a procedure's parameter as it is declared.
type parameter struct {
	name    string // lower case, with its "@"
	written string // as the procedure spells it
	typ     tds.Type
	output  bool
	// key: blanks at the end of the text do not count, as SQL Server compares. (It would keep them in the row.)
	key bool
	// optional: a call may leave it out, for value.
	optional bool
	value    argument
}

// argument is the value of a parameter, converted to its type: n for whole numbers,
// bits and dates, s for text, b for binary, raw for all others, as SQLite has it. ok is false for NULL.
type argument struct {
	raw any
	ok  bool
	n   int64
	s   string
	b   []byte
}

func (a argument) date() datetime   { return datetime(a.n) }
func (a argument) date2() datetime2 { return datetime2(a.n) }

// blob is a binary argument: nil for NULL only.
func (a argument) blob() []byte {
	if a.ok && a.b == nil {
		return []byte{}
	}
	return a.b
}

// arguments are those of one call, in the order of the declaration.
type arguments []argument

// convert makes v, a value that came with type from, the value of a parameter of
// type to. Texts and binaries are cut to the declared length without a word, as
// SQL Server does with parameters.
func convert(v any, from string, to tds.Type) (argument, error) {
	if v == nil {
		return argument{}, nil
	}
	var a argument
	if !parameterKind(to.Kind()) {
		raw, err := tsql.ToVariable(stored(v), "", specOf(to))
		return argument{ok: raw != nil, raw: raw}, asTold(err)
	}
	ok := false
	switch to.Kind() {
	case tds.KindNVarChar, tds.KindVarChar, tds.KindChar, tds.KindNChar:
		a.s, ok = textOf(v)
		a.s = cutText(a.s, to.Size())
	case tds.KindInt:
		a.n, ok = integerOf(v, math.MinInt32, math.MaxInt32)
	case tds.KindBigInt:
		a.n, ok = integerOf(v, math.MinInt64, math.MaxInt64)
	case tds.KindBit:
		a.n, ok = bitOf(v)
	case tds.KindDateTime:
		var t time.Time
		if t, ok = timeOf(v); ok {
			d := datetimeOf(t)
			a.n, ok = int64(d), d.inRange()
		}
	case tds.KindDateTime2:
		var t time.Time
		t, ok = timeOf(v)
		a.n = int64(datetime2Of(t))
	case tds.KindBinary, tds.KindVarBinary, tds.KindImage:
		a.b, ok = v.([]byte)
		if n := to.Size(); ok && n > 0 && len(a.b) > n {
			a.b = a.b[:n]
		}
		if ok && to.Kind() == tds.KindBinary {
			a.s, a.b = padBinary(a.b, to.Size()), nil
		}
	}
	if !ok {
		return a, &tds.Error{Number: 8114, Class: 16, State: 5,
			Message: fmt.Sprintf("Error converting data type %s to %s.", from, to.Kind())}
	}
	a.ok = true
	return a, nil
}

// padBinary is a binary(n) as a string, so that operations compare with ==.
func padBinary(b []byte, n int) string {
	if len(b) < n {
		b = append(append(make([]byte, 0, n), b...), make([]byte, n-len(b))...)
	}
	return string(b)
}

// cutText keeps the first n characters as SQL Server counts them, in UTF-16 units.
func cutText(s string, n int) string {
	if n <= 0 || len(s) <= n {
		return s
	}
	units := 0
	for i, r := range s {
		if units += utf16.RuneLen(r); units > n {
			return s[:i]
		}
	}
	return s
}

func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatInt(boolInt(v), 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', 6, 64), true
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.0000000"), true
	}
	return "", false
}

func integerOf(v any, least, most int64) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		n, ok = v, true
	case int32:
		n, ok = int64(v), true
	case bool:
		return boolInt(v), true
	case float64:
		ok = v > -1e18 && v < 1e18
		n = int64(v)
	case string:
		var err error
		if n, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
			// numeric and money come as decimal text; the decimals are dropped.
			f, notDecimal := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if !strings.Contains(v, ".") || notDecimal != nil {
				return 0, strings.TrimSpace(v) == "" // T-SQL reads blanks as zero
			}
			n = int64(f)
		}
		ok = true
	}
	return n, ok && n >= least && n <= most
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func bitOf(v any) (int64, bool) {
	if s, ok := v.(string); ok {
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true":
			return 1, true
		case "false":
			return 0, true
		}
	}
	n, ok := integerOf(v, math.MinInt64, math.MaxInt64)
	return boolInt(n != 0), ok
}

// timeOf reads a date. A datetimeoffset loses its offset, not its clock time, as
// an assignment to datetime does.
func timeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		_, offset := v.Zone()
		return v.Add(time.Duration(offset) * time.Second).UTC(), v.Year() >= 1 && v.Year() <= 9999
	case string:
		s := strings.TrimSuffix(strings.TrimSpace(v), "Z")
		if len(s) == len("2006-01-02") {
			s += " 00:00:00"
		}
		return parseClock(s)
	}
	return time.Time{}, false
}

// given is an argument as it was given in a call.
type given struct {
	name      string // with its "@"; "" by position
	value     any
	from      string // its type's name, for messages
	isDefault bool
	param     *tds.Param // as it came over the wire; nil: in a text
}

// bindArguments finds the value of each of the procedure's parameters.
func (p *procedure) bindArguments(list []given) (arguments, error) {
	if len(list) > len(p.params) {
		return nil, p.refusal(8144, "Procedure or function %s has too many arguments specified.", p.name)
	}
	a := make(arguments, len(p.params))
	have := make([]bool, len(p.params))
	for i, g := range list {
		at := i
		if g.name != "" {
			if at = p.parameter(g.name); at < 0 {
				return nil, p.refusal(8145, "%s is not a parameter for procedure %s.", g.name, p.name)
			}
		}
		if have[at] {
			return nil, p.refusal(8143, "Parameter '%s' was supplied multiple times.", p.params[at].written)
		}
		if g.isDefault {
			continue
		}
		have[at] = true
		value := g.value
		if g.param != nil && !parameterKind(p.params[at].typ.Kind()) {
			value = storedParam(*g.param)
		}
		var err error
		if a[at], err = convert(value, g.from, p.params[at].typ); err != nil {
			return nil, p.located(err)
		}
		if p.params[at].key {
			a[at].s = trimBlanks(a[at].s)
		}
	}
	for i, q := range p.params {
		switch {
		case have[i]:
		case q.optional:
			a[i] = q.value
		default:
			return nil, p.refusal(201, "Procedure or function '%s' expects parameter '%s', which was not supplied.", p.name, q.written)
		}
	}
	return a, nil
}

// parameter finds a parameter by its name, whose case does not matter.
func (p *procedure) parameter(name string) int {
	for i := range p.params {
		if p.params[i].name == name {
			return i
		}
	}
	for i := range p.params {
		if strings.EqualFold(p.params[i].name, name) {
			return i
		}
	}
	return -1
}

// refusal is an error of a call of this procedure.
func (p *procedure) refusal(number int32, format string, args ...any) *tds.Error {
	return &tds.Error{Number: number, Class: 16, State: 4, Proc: p.name, Message: fmt.Sprintf(format, args...)}
}

// located adds the procedure's name to an error that came from within it. The
// error itself may be everybody's who waited in one queue.
func (p *procedure) located(err error) error {
	e, ok := err.(*tds.Error)
	if !ok || e.Proc != "" {
		return err
	}
	own := *e
	own.Proc = p.name
	return &own
}
