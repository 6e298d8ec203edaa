package span

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPlainYAML writes documents out of the pieces that plainYAML knows, in
// any order and at any column, and holds it to what walkYAML finds.
func TestPlainYAML(t *testing.T) {
	pieces := []string{"a: b", "key:", "key: # c", "b: 'x y' # c", `c: "q" `, "- x", "- k: v", "- - y", "-", "- ", "# c", "", "  ", "d: null", "~: a", "null: x",
		"yes: no", "on: off", "e: ~", "f: ''", "g: a: b", "h: a #b", "i: a#b", "j:x", "k: -1", "l: - 1", "m: .5", "n: {}", "o: |", "text", "'q': x", "---", "...", "p: a:", "q/r.s: 12:30",
		"t: 'it''s'", `u: "a\n"`, "true: x", "x1: 2001-01-01", "- k:", "- k:\n  - z", "v: leafseal." + strings.Repeat("A", 96), "w: <<", "<<: *a", "a: c", "-a: b", "- -b", "- 'x': y", "z: $x ~ +", "_: /"}
	r := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 200_000 {
		var b strings.Builder
		column := 0
		for range 1 + r.IntN(7) {
			switch r.IntN(6) {
			case 0:
				column += 1 + r.IntN(2)
			case 1:
				column = max(0, column-1-r.IntN(3))
			}
			b.WriteString(strings.Repeat(" ", column))
			b.WriteString(pieces[r.IntN(len(pieces))])
			b.WriteByte('\n')
		}
		src := []byte(b.String())
		if r.IntN(3) == 0 {
			src = src[:len(src)-1]
		}
		if _, ok := plainYAML(src); ok {
			accepted++
		}
		checkPlain(t, src)
	}
	if accepted < 5_000 {
		t.Fatalf("only %d documents were plain: the test tests nothing", accepted)
	}
	t.Logf("%d plain documents", accepted)
}
