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

// readYAML returns the settings in a file, each with its place. It reports all mistakes, not only the
// first. A key without a value is ignored.
func readYAML(name string, text []byte) ([]Setting, Mistakes) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, Mistakes{syntaxMistake(name, err)}
	}
	r := yamlReader{name: name, sections: sections()}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			r.complain(doc.Body, "", "a second document is not supported; one file is one configuration")
			break
		}
		r.read("", doc.Body)
	}
	return r.settings, r.wrong
}

// syntaxMistake returns the parser's error without the quoted source text, which may contain a secret.
func syntaxMistake(name string, err error) Mistake {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return Mistake{From: name, Text: "this is not YAML"}
	}
	message := syntax.GetMessage()
	if strings.Contains(message, "'\t'") { // a tab, which is invisible in a message
		message = "there is a tab before a key or value here: YAML allows only spaces"
	}
	return Mistake{From: placeOf(name, syntax.GetToken()), Text: message}
}

func placeOf(name string, t *token.Token) string {
	return fmt.Sprintf("%s: line %d, column %d", name, t.Position.Line, t.Position.Column)
}

// yamlReader reads a file.
type yamlReader struct {
	name     string
	sections map[string]bool
	settings []Setting
	wrong    Mistakes
}

// sections returns the keys that have keys below them; the empty one is the file.
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

// read reads the value of a key, which may be a section.
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
			r.complain(n, key, "is a section: it has keys below it, and no value")
			return
		}
		r.settings = append(r.settings, Setting{Key: key, Values: []string{scalar(n)}, From: placeOf(r.name, n.GetToken())})
	default:
		r.complain(n, key, "anchors, aliases and tags are not supported; write the value itself")
	}
}

// readSection reads the keys in a section, and records where each section begins. Each alias of an
// application is a section.
func (r *yamlReader) readSection(key string, at ast.Node, values []*ast.MappingValueNode) {
	if !r.sections[key] {
		r.complain(at, key, "must have one value, and no keys below it")
		return
	}
	for _, v := range values {
		if _, ok := v.Key.(ast.ScalarNode); !ok {
			r.complain(v.Key, key, "anchors, aliases and tags are not supported; write the keys themselves")
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

// known reports whether there is such a key.
func known(key string) bool {
	c := defaults()
	return c.find(key) != nil
}

// readList reads a list of plain values.
func (r *yamlReader) readList(key string, n *ast.SequenceNode) {
	c := defaults()
	if place := c.find(key); place == nil || reflect.TypeOf(place) != reflect.TypeFor[*[]string]() {
		r.complain(n, key, "must have one value, not a list")
		return
	}
	values := []string{}
	for _, v := range n.Values {
		if _, ok := v.(ast.ScalarNode); !ok {
			r.complain(v, key, "must be a list of plain values")
			return
		}
		values = append(values, scalar(v))
	}
	r.settings = append(r.settings, Setting{Key: key, Values: values, From: placeOf(r.name, n.GetToken())})
}

// scalar returns the text of a value as written, without quotes.
func scalar(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	return n.GetToken().Value
}
