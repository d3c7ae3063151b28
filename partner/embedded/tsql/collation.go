package tsql

import (
	"cmp"
	"strings"
)

// Collation is the name of the SQLite collation that compares text as SQL_Latin1_General_CP1_CI_AS does: without regard to the case of A to Z
// and to blanks at the end. [RegisterFunctions] registers it. A column that has it compares, sorts, groups and is unique by it.
const Collation = "TSQL_CI"

// Collate compares two texts as [Collation] does. It allocates nothing.
func Collate(a, b string) int {
	a, b = strings.TrimRight(a, " "), strings.TrimRight(b, " ")
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x = smallLetter(x); x != smallLetter(y) {
			return cmp.Compare(x, smallLetter(y))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// smallLetter is A to Z as a to z, and all else as it is.
func smallLetter(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
