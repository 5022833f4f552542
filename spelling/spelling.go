// Package spelling finds the word that somebody meant who wrote another.
package spelling

import "strings"

// Nearest is the known word that differs from w by the fewest letters, "" where none is
// like it. Capitals do not count.
func Nearest(w string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		like := max(1, min(len(w), len(k))/3)
		if d := Distance(strings.ToLower(w), strings.ToLower(k), distance); d < distance && d <= like {
			best, distance = k, d
		}
	}
	return best
}

// Distance is the Levenshtein distance: the number of bytes to insert, delete or change
// to make a of b. It is some number of at least limit where the lengths alone tell that it
// is that many.
func Distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
