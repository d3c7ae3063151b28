// Command licensecheck checks the licence of every module that this one is built, tested or checked with. It fails if a
// licence is unknown or not allowed. Licences that require more than their notice, such as the GNU ones, are not
// allowed. The MPL is allowed: it only requires that changes to its own files are published.
//
//	go run ./cmd/licensecheck             # a line for each module
//	go run ./cmd/licensecheck -notices    # the texts that go with a binary
//
// It recognises a licence by phrases in its text, and reads only a module's main licence file.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	notices := flag.Bool("notices", false, "print the full licence texts of the modules that are linked into the program")
	flag.Parse()
	if err := run(os.Stdout, *notices); err != nil {
		fmt.Fprintln(os.Stderr, "licensecheck:", err)
		os.Exit(1)
	}
}

// module is a module that this one depends on.
type module struct {
	path, version, dir string
	linked             bool // linked into the program on some system; otherwise used by tests and tools only
}

// run checks all modules.
func run(out io.Writer, notices bool) error {
	modules, err := dependencies()
	if err != nil {
		return err
	}
	var refused []string
	for _, m := range modules {
		text, err := licence(m.dir)
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", m.path, err))
			continue
		}
		name, ok := recognise(text)
		if !ok {
			refused = append(refused, fmt.Sprintf("%s: %s; remove the module, or add its licence to cmd/licensecheck if it is allowed", m.path, name))
			continue
		}
		switch use := "tests and tools"; {
		case notices && m.linked:
			fmt.Fprintf(out, "%s %s (%s)\n\n%s\n%s\n\n", m.path, m.version, name, strings.TrimSpace(text), strings.Repeat("-", 80))
		case !notices:
			if m.linked {
				use = "linked"
			}
			fmt.Fprintf(out, "%-28s %-16s %s %s\n", name, use, m.path, m.version)
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("%d modules have no allowed licence:\n%s", len(refused), strings.Join(refused, "\n"))
	}
	return nil
}

// systems are the operating systems the program is built for. The linked modules differ between them.
var systems = []string{"linux", "windows", "darwin"}

// dependencies asks the go command for the modules, and sorts them by path.
func dependencies() ([]module, error) {
	found := map[string]module{}
	for _, system := range systems {
		if err := list(found, true, system, "./cmd/mirrorstate"); err != nil {
			return nil, err
		}
	}
	for _, packages := range []string{"./...", "tool"} {
		if err := list(found, false, "", packages); err != nil {
			return nil, err
		}
	}
	all := make([]module, 0, len(found))
	for _, m := range found {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return all, nil
}

// list adds the modules of packages and of all they import to found.
func list(found map[string]module, linked bool, system, packages string) error {
	args := []string{"list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}"}
	if !linked {
		args = append(args, "-test")
	}
	cmd := exec.Command("go", append(args, packages)...)
	cmd.Stderr = os.Stderr
	if cmd.Env = os.Environ(); system != "" {
		cmd.Env = append(cmd.Env, "GOOS="+system, "GOFLAGS=") // GOFLAGS of the last build must not apply
	}
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(cmd.Args[1:], " "), err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) == 3 {
			m := module{fields[0], fields[1], fields[2], linked || found[fields[0]].linked}
			found[m.path] = m
		}
	}
	return nil
}

// licenceFile matches the names of licence files. If there are several, the shortest name is the module's own licence.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-].*)?$`)

// licence reads the licence in a module's folder.
func licence(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	name := ""
	for _, e := range entries {
		if licenceFile.MatchString(e.Name()) && (name == "" || len(e.Name()) < len(name)) {
			name = e.Name()
		}
	}
	if name == "" {
		return "", fmt.Errorf("the module has no licence file")
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	return string(text), err
}

// known are the allowed licences. A text has the first licence of which it contains all phrases. Case and the number of
// blanks between words are ignored.
var known = []struct {
	name  string
	words []string
}{
	{"MPL-2.0", []string{"mozilla public license, version 2.0", "covered software"}},
	{"Apache-2.0", []string{"apache license", "version 2.0, january 2004", "terms and conditions for use, reproduction, and distribution"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name", "without specific prior written permission"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "this list of conditions and the following disclaimer in the documentation"}},
	{"MIT and Apache-2.0", []string{"this project is covered by two different licenses: mit and apache", "permission is hereby granted, free of charge"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", `the software is provided "as is"`}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
}

// barred are phrases of licences that are not allowed, and of clauses that restrict an allowed one. The text of the MPL
// names some of these licences as ones its files may be distributed under.
var barred = []string{
	"gnu general public license", "gnu affero general public license", "gnu lesser general public license", "gnu library general public license",
	"server side public license", "business source license", "commons clause", "elastic license", "creative commons", "non-commercial", "noncommercial",
}

// recognise returns the name of the licence with this text. If ok is false, the name says why it is not allowed.
func recognise(text string) (name string, ok bool) {
	plain := strings.Join(strings.Fields(strings.ToLower(text)), " ")
	plain = strings.NewReplacer("“", `"`, "”", `"`, "''", `"`, "``", `"`).Replace(plain)
	for _, l := range known {
		if !slices.ContainsFunc(l.words, func(w string) bool { return !strings.Contains(plain, w) }) {
			name = l.name
			break
		}
	}
	if name != "MPL-2.0" {
		for _, words := range barred {
			if strings.Contains(plain, words) {
				return "its licence contains the words " + words, false
			}
		}
	}
	if name == "" {
		return "its licence is unknown", false
	}
	return name, true
}
