package schema

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// everyFile is every script there is, by its name.
func everyFile(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.sql", "install/*.sql"} {
		names, err := fs.Glob(files, pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			text, err := files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = string(text)
		}
	}
	return all
}

var (
	noCode  = regexp.MustCompile(`(?m)--.*$|N?'(?:[^']|'')*'`)
	literal = regexp.MustCompile(`(CONVERT\(bigint, )?\b([0-9]+)\b`)
)

// A literal above 2147483647 is numeric to SQL Server. ^, & and | refuse numeric with 402, and an int that meets one becomes
// numeric too. No engine that only looks like SQL Server tells.
func TestFiles_HaveNoNumericByAccident(t *testing.T) {
	for name, text := range everyFile(t) {
		for _, m := range literal.FindAllStringSubmatch(noCode.ReplaceAllString(text, ""), -1) {
			n, err := strconv.ParseInt(m[2], 10, 64)
			if (err != nil || n > 2147483647) && m[1] == "" {
				t.Errorf("%s: the literal %s is numeric: CONVERT(bigint, %s)", name, m[2], m[2])
			}
		}
	}
}

// sqlcmd reads a file without a byte order mark in the code page of the machine: what is not ASCII becomes something else.
func TestFiles_AreASCII(t *testing.T) {
	for name, text := range everyFile(t) {
		for i, line := range strings.Split(text, "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
				t.Errorf("%s:%d is not ASCII: %s", name, i+1, line)
			}
		}
	}
}
