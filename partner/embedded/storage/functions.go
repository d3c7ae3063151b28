package storage

import "github.com/mirrorstate/mirrorstate/partner/embedded/tsql"

// functionHeads are the heads of functions by their text.
var functionHeads = CacheByText[*tsql.Function]{Most: 1024}

// FunctionHead is the head of a function, by its text.
func FunctionHead(text string) (*tsql.Function, error) {
	return functionHeads.Find(text, func() (*tsql.Function, error) { return tsql.ParseFunctionHead(text) })
}

// functionColumns tells a function as a [tsql.Schema] does; nil: there is none.
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
