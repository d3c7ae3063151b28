package tsql

import (
	"cmp"
	"strings"
)

// Collation is the name of the SQLite collation that compares text as SQL_Latin1_General_CP1_CI_AS does: it ignores the
// case of A to Z and trailing blanks. [RegisterFunctions] registers it. It applies to comparisons, ORDER BY, GROUP BY
// and unique indexes of a column that has it.
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

// smallLetter converts A to Z to a to z, and returns other bytes unchanged.
func smallLetter(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
