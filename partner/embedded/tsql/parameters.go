package tsql

// ParseParameters reads the declaration of a text's parameters, as sp_executesql has it: "@a int, @b nvarchar(10) = N'x' OUTPUT". The
// error is an *Error.
func ParseParameters(declared string) ([]Param, error) {
	tokens, err := tokenize(declared)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, in: &inputs{}, body: &body{types: map[string]TypeSpec{}}}
	var all []Param
	for p.peek(0).kind == variableToken {
		all = append(all, p.param())
		if !p.acceptSymbol(",") {
			break
		}
	}
	if !p.atEnd() {
		p.unexpected()
	}
	if p.err != nil {
		return nil, p.err
	}
	return all, nil
}
