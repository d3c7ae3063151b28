package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// readYAML takes a file apart into settings, each with its place. Every mistake is told, not the
// first alone. A key without a value says nothing.
func readYAML(name string, text []byte) ([]Setting, Mistakes) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, Mistakes{syntaxMistake(name, err)}
	}
	r := yamlReader{name: name, sections: sections()}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			r.complain(doc.Body, "", "a second document is not read; one file is one configuration")
			break
		}
		r.read("", doc.Body)
	}
	return r.settings, r.wrong
}

// syntaxMistake is the parser's error without its picture of the text, which may show a secret.
func syntaxMistake(name string, err error) Mistake {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return Mistake{From: name, Text: "this is not YAML"}
	}
	said := syntax.GetMessage()
	if strings.Contains(said, "'\t'") { // a tab, which nobody sees in a message
		said = "a tab stands before a key or value here: YAML takes only spaces for that"
	}
	return Mistake{From: placeOf(name, syntax.GetToken()), Text: said}
}

func placeOf(name string, t *token.Token) string {
	return fmt.Sprintf("%s: line %d, column %d", name, t.Position.Line, t.Position.Column)
}

// yamlReader walks through a file.
type yamlReader struct {
	name     string
	sections map[string]bool
	settings []Setting
	wrong    Mistakes
}

// sections are the keys that have keys below them; the empty one is the file.
func sections() map[string]bool {
	all := map[string]bool{"": true, "apps": true}
	for _, key := range Keys() {
		for i := range key {
			if key[i] == '.' {
				all[key[:i]] = true
			}
		}
	}
	return all
}

func (r *yamlReader) complain(at ast.Node, key, text string) {
	r.wrong = append(r.wrong, Mistake{From: placeOf(r.name, at.GetToken()), Key: key, Text: text})
}

// read takes the value of a key, which may be a section.
func (r *yamlReader) read(key string, node ast.Node) {
	switch n := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		r.readSection(key, n, n.Values)
	case *ast.MappingValueNode:
		r.readSection(key, n, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		r.readList(key, n)
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if r.sections[key] {
			r.complain(n, key, "has keys below it, and no value of its own")
			return
		}
		r.settings = append(r.settings, Setting{Key: key, Values: []string{scalar(n)}, From: placeOf(r.name, n.GetToken())})
	default:
		r.complain(n, key, "anchors, aliases and tags are not read here; write the value itself")
	}
}

// readSection reads the keys below one, and notes where each section is. Each alias of an
// application is one.
func (r *yamlReader) readSection(key string, at ast.Node, values []*ast.MappingValueNode) {
	if !r.sections[key] {
		r.complain(at, key, "wants one value, without keys below it")
		return
	}
	for _, v := range values {
		if _, ok := v.Key.(ast.ScalarNode); !ok {
			r.complain(v.Key, key, "anchors, aliases and tags are not read here; write the keys themselves")
			continue
		}
		below, from := scalar(v.Key), placeOf(r.name, v.Key.GetToken())
		if key != "" {
			below = key + "." + below
		}
		if key == "apps" {
			r.sections[below] = true
		}
		switch {
		case r.sections[below]:
			r.settings = append(r.settings, Setting{Key: below, From: from})
		case !known(below):
			r.wrong = append(r.wrong, unknownKey(below, from))
			continue
		}
		r.read(below, v.Value)
	}
}

// known says whether there is such a key.
func known(key string) bool {
	c := defaults()
	return c.find(key) != nil
}

// readList reads a list of plain values.
func (r *yamlReader) readList(key string, n *ast.SequenceNode) {
	c := defaults()
	if place := c.find(key); place == nil || reflect.TypeOf(place) != reflect.TypeFor[*[]string]() {
		r.complain(n, key, "wants one value, not a list")
		return
	}
	values := []string{}
	for _, v := range n.Values {
		if _, ok := v.(ast.ScalarNode); !ok {
			r.complain(v, key, "is a list of plain values")
			return
		}
		values = append(values, scalar(v))
	}
	r.settings = append(r.settings, Setting{Key: key, Values: values, From: placeOf(r.name, n.GetToken())})
}

// scalar is the text of a value as it was written, without its quotes.
func scalar(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	return n.GetToken().Value
}
