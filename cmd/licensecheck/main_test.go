package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mit  = "Copyright (c) 2020 Somebody\n\nPermission is hereby granted, free of charge, to any person obtaining\na copy of this software … THE SOFTWARE IS PROVIDED “AS IS”, WITHOUT WARRANTY"
	bsd2 = "Redistribution and use in source and binary forms, with or without\nmodification … this list of conditions and the following disclaimer in the documentation and/or"
	bsd3 = bsd2 + " Neither the name of the copyright holder … without specific prior\n written permission"
)

func TestRecognise(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"wrapped lines and typographic quotes", mit, "MIT"},
		{"two clauses", bsd2, "BSD-2-Clause"},
		{"three clauses", bsd3, "BSD-3-Clause"},
		{"the GPL", "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", ""},
		{"an allowed licence with a clause that is not allowed", mit + "\n“Commons Clause” License Condition v1.0", ""},
		{"a choice with the LGPL in it", bsd3 + " or the GNU Lesser General Public License", ""},
		{"the MPL, which names the GNU licences", `Mozilla Public License, version 2.0 … "Covered Software" … the GNU General Public License, Version 2.0`, "MPL-2.0"},
		{"an unknown text", "All rights reserved.", ""},
		{"an empty text", "", ""},
	} {
		name, ok := recognise(tc.text)
		if ok != (tc.want != "") || ok && name != tc.want {
			t.Errorf("%s: got %q, %t, want %q", tc.name, name, ok, tc.want)
		}
	}
}

func TestLicence(t *testing.T) {
	dir := t.TempDir()
	if _, err := licence(dir); err == nil {
		t.Error("got a licence for a module without one")
	}
	for name, text := range map[string]string{"LICENSE.md": "ours", "LICENSE-3RD-PARTY.md": "theirs", "licenses.go": "code", "README": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := licence(dir); text != "ours" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

// The list has the program's modules, and marks those that only tests use.
func TestRun(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	var out strings.Builder
	if err := run(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"BSD-3-Clause                 linked           github.com/microsoft/go-mssqldb ",
		"Apache-2.0                   linked           github.com/inconshreveable/mousetrap ", // on Windows alone
		"MIT                          tests and tools  github.com/chromedp/chromedp ",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("line %q is missing in\n%s", line, out.String())
		}
	}
}
