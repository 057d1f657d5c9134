package plugintest

import "strings"

// nearest is the candidate that a mistyped word most likely meant; "" if none
// is close: at most a third of its letters wrong, one in a short word.
func nearest(word string, candidates []string) string {
	const longest = 64 // keys are shorter; it bounds the work for hostile input
	if word == "" || len(word) > longest {
		return ""
	}
	best, least := "", len(word)
	for _, c := range candidates {
		d := editDistance(strings.ToLower(word), c)
		if d <= max(1, min(len(word), len(c))/3) && d < least {
			best, least = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, row := rows[i%3], rows[(i+1)%3], rows[(i+2)%3]
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
