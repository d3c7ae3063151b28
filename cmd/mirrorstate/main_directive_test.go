package main

import (
	"go/build"
	"slices"
	"testing"
)

// The setting of go.mod is for the tests. go install …@version does not use it, so the program has the setting itself.
func TestMain_NegativeSerials(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Directives, func(d build.Directive) bool { return d.Text == "//go:debug x509negativeserial=1" }) {
		t.Errorf("the program refuses certificates with negative serial numbers; its directives are %v", p.Directives)
	}
}
