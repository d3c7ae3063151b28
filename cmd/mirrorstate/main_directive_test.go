package main

import (
	"go/build"
	"slices"
	"testing"
)

// go.mod's setting holds for the tests, and not for go install …@version: the program has its own.
func TestMain_NegativeSerials(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Directives, func(d build.Directive) bool { return d.Text == "//go:debug x509negativeserial=1" }) {
		t.Errorf("the program would refuse the certificates of older SQL Servers; its directives are %v", p.Directives)
	}
}
