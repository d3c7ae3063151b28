// Command licensecheck looks at the licence of every module that this one is built, tested or checked with, and
// fails if there is one that it does not know or that may not be used. Licences that ask more of us than their
// notice (the GNU ones above all) may not; the MPL, which asks for changes to its own files, may.
//
//	go run ./cmd/licensecheck             # a line for each module
//	go run ./cmd/licensecheck -notices    # the texts that go with a binary
//
// It knows a licence by its own words, and reads a module's main licence file only.
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
	notices := flag.Bool("notices", false, "print the licences of what is linked into the program, whole")
	flag.Parse()
	if err := run(os.Stdout, *notices); err != nil {
		fmt.Fprintln(os.Stderr, "licensecheck:", err)
		os.Exit(1)
	}
}

// module is one of those we depend on.
type module struct {
	path, version, dir string
	linked             bool // into the program, on some system; otherwise for tests and tools alone
}

// run looks at all of them.
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
			refused = append(refused, fmt.Sprintf("%s: %s; leave the module out, or add its licence to cmd/licensecheck if it may be used", m.path, name))
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
		return fmt.Errorf("%d modules may not be used:\n%s", len(refused), strings.Join(refused, "\n"))
	}
	return nil
}

// systems are those the program is built for: what is linked is not the same on all.
var systems = []string{"linux", "windows", "darwin"}

// dependencies asks the go command for them, in the order of their paths.
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
		cmd.Env = append(cmd.Env, "GOOS="+system, "GOFLAGS=") // whatever was built last
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

// licenceFile is what a module's licence is called; of several the shortest name is the module's own.
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
		return "", fmt.Errorf("there is no licence in it")
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	return string(text), err
}

// known are the licences that may be used: a text is of the first whose words all stand in it. Words are
// compared without case and with single blanks between.
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

// barred are words of licences that may not be used, or that narrow one that may. The MPL names some of them as those its
// files may be passed on under.
var barred = []string{
	"gnu general public license", "gnu affero general public license", "gnu lesser general public license", "gnu library general public license",
	"server side public license", "business source license", "commons clause", "elastic license", "creative commons", "non-commercial", "noncommercial",
}

// recognise names a licence by its text. Not ok: the name says why it may not be used.
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
				return "its licence has the words " + words, false
			}
		}
	}
	if name == "" {
		return "its licence is none that is known", false
	}
	return name, true
}
