package config

import "strings"

// nearest returns the candidate most similar to s, or "" if none is similar.
func nearest(s string, candidates []string) string {
	best, most := "", 1+len(s)/4
	for _, c := range candidates {
		if d := distance(s, c); d <= most && (best == "" || d < distance(s, best)) {
			best = c
		}
	}
	return best
}

// distance returns the Levenshtein distance: how many letters must be inserted, deleted or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// didYouMean returns the end of the error for an unknown key: the key that was probably meant. For a
// key in the wrong section, such as hold.window at the top, this is the key with the same ending.
func didYouMean(key string, known []string) string {
	for _, k := range known {
		if strings.HasSuffix(k, "."+key) {
			return "; did you mean " + k + "?"
		}
	}
	if k := nearest(key, known); k != "" {
		return "; did you mean " + k + "?"
	}
	return ""
}
