package config

import (
	"slices"
	"strings"
)

// suggest says in words which of the names somebody may have meant.
func suggest(got string, names []string) string {
	if name := nearest(got, names); name != "" {
		return "did you mean " + quote(name) + "?"
	}
	sorted := slices.Sorted(slices.Values(names))
	if len(sorted) == 0 {
		return "there is none"
	}
	return "there are " + strings.Join(sorted, ", ")
}

// nearest gives the name with the fewest differences from got, or else the only
// one that begins like it, or "" when none is likely to be what was meant.
func nearest(got string, names []string) string {
	best, fewest := "", mistakes(got)+1
	for _, name := range names {
		n := distance(normalize(got), normalize(name))
		if n < fewest || n == fewest && best != "" && name < best {
			best, fewest = name, n
		}
	}
	if best == "" {
		best = longer(got, names)
	}
	return best
}

// mistakes is how many somebody may make who means a name and writes got: of
// three letters or fewer, two others make any word.
func mistakes(got string) int {
	if len(got) <= 3 {
		return 1
	}
	return max(2, len(got)/3)
}

// longer gives the one name that got may be short for.
func longer(got string, names []string) (name string) {
	const least = 3 // characters that say something
	if got = normalize(got); len(got) < least {
		return ""
	}
	for _, n := range names {
		if strings.HasPrefix(normalize(n), got) {
			if name != "" {
				return ""
			}
			name = n
		}
	}
	return name
}

// normalize takes away what people write in different ways.
func normalize(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// maxDistance bounds the work for absurdly long names.
const maxDistance = 64

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a (Damerau and Levenshtein, by optimal alignment).
func distance(a, b string) int {
	if len(a) > maxDistance || len(b) > maxDistance {
		return maxDistance
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
