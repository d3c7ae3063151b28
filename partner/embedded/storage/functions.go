package storage

import "github.com/mirrorstate/mirrorstate/partner/embedded/tsql"

// functionHeads caches the parsed heads of functions by the functions' texts.
var functionHeads = CacheByText[*tsql.Function]{Most: 1024}

// FunctionHead returns the parsed head of the function with that text.
func FunctionHead(text string) (*tsql.Function, error) {
	return functionHeads.Find(text, func() (*tsql.Function, error) { return tsql.ParseFunctionHead(text) })
}

// functionColumns returns the columns of a function as a [tsql.Schema] does;
// nil: no such function.
func (o ObjectSet) functionColumns(name string) []tsql.Column {
	r := o[ObjectKey(KindFunction, name)]
	if r == nil {
		return nil
	}
	f, err := FunctionHead(r.Detail)
	if err != nil {
		return nil
	}
	return f.Signature()
}
