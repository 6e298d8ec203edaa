package span

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// fakeToken is what a span becomes when the laws are checked without a key.
func fakeToken(i int) string {
	return tokenMark + strings.Repeat("A", 90) + fmt.Sprintf("%06d", i)
}

// checkLaws checks everything a format promises for one document that its
// Find accepts, and reports whether it accepts it.
func checkLaws(t testing.TB, f *Format, src []byte) bool {
	t.Helper()
	spans, err := f.Find(src)
	if err != nil {
		e, ok := err.(*Error)
		if !ok || e.Offset < 0 || e.Offset > len(src) {
			t.Fatalf("%s: refusal without a place: %v\n%q", f.Name, err, src)
		}
		return false
	}
	if f == &YAML {
		checkPlain(t, src)
	}
	if FindToken(src) >= 0 {
		return true // an already sealed document: Encrypt refuses it
	}
	last := 0
	for i, s := range spans {
		if s.Start < last || s.End < s.Start || s.End > len(src) {
			t.Fatalf("%s: span %d [%d,%d) out of order (after %d, of %d)\n%q", f.Name, i, s.Start, s.End, last, len(src), src)
		}
		if s.Kind == Value {
			if _, err := f.Text(src, s); err != nil && src[s.Start] != '*' && src[s.Start] != '!' {
				t.Fatalf("%s: span %d has no text: %v\n%q", f.Name, i, err, src)
			}
		}
		last = s.End
	}
	same := Splice(src, spans, func(i int) []byte { return src[spans[i].Start:spans[i].End] })
	if !bytes.Equal(same, src) {
		t.Fatalf("%s: splicing each span with itself gave\n%q, not\n%q", f.Name, same, src)
	}
	// Once with every span sealed, once with every other one: both must be
	// found again at the same paths with the tokens whole.
	for _, every := range []int{1, 2} {
		sealedSpan := func(i int) bool { return !spans[i].Fixed && i%every == 0 }
		sealed := fakeSeal(f, src, spans, every)
		again, err := f.Find(sealed)
		if err != nil {
			t.Fatalf("%s: sealed document refused: %v\n%q\n%q", f.Name, err, src, sealed)
		}
		if len(again) != len(spans) {
			t.Fatalf("%s: %d spans became %d\n%q\n%q", f.Name, len(spans), len(again), src, sealed)
		}
		for i, s := range again {
			was := spans[i]
			if s.Kind != was.Kind || s.Doc != was.Doc || s.Starts != was.Starts || s.Fixed != was.Fixed || !reflect.DeepEqual(s.Path, was.Path) {
				t.Fatalf("%s: span %d changed from %+v to %+v\n%q\n%q", f.Name, i, was, s, src, sealed)
			}
			want := string(src[was.Start:was.End])
			if sealedSpan(i) {
				want = s.Open + fakeToken(i) + s.Close
			}
			if got := string(sealed[s.Start:s.End]); got != want {
				t.Fatalf("%s: span %d holds %q, want %q\n%q", f.Name, i, got, want, sealed)
			}
		}
		if every > 1 {
			continue
		}
		// Opening: what the engine does, byte for byte.
		back := make([]Span, len(again))
		copy(back, again)
		for i := range back {
			if spans[i].Start == spans[i].End && sealedSpan(i) {
				back[i].Start -= len(f.Empty)
			}
		}
		if got := Splice(sealed, back, func(i int) []byte { return src[spans[i].Start:spans[i].End] }); !bytes.Equal(got, src) {
			t.Fatalf("%s: opened to\n%q, not\n%q", f.Name, got, src)
		}
	}
	return true
}

// fakeSeal puts a token in the place of every span, or of every other one.
func fakeSeal(f *Format, src []byte, spans []Span, every int) []byte {
	return Splice(src, spans, func(i int) []byte {
		s := spans[i]
		if s.Fixed || i%every != 0 {
			return src[s.Start:s.End]
		}
		glue := ""
		if s.Start == s.End {
			glue = f.Empty
		}
		return []byte(glue + s.Open + fakeToken(i) + s.Close)
	})
}

// provable reports whether a sealed document has the shape of the plain one.
// The engine refuses one that has not: for YAML that the grammar hardly
// allows, such as a block scalar at the start of a line, that is enough.
func provable(f *Format, src []byte) bool {
	spans, err := f.Find(src)
	for every := 1; every <= 2 && err == nil; every++ {
		sealed := fakeSeal(f, src, spans, every)
		again, err2 := f.Find(sealed)
		if err2 != nil || len(again) != len(spans) {
			return false
		}
		for i := range spans {
			text := sealed[again[i].Start:again[i].End]
			if !spans[i].Fixed && i%every == 0 && !Token(text) || spans[i].Kind != again[i].Kind || spans[i].Doc != again[i].Doc || !reflect.DeepEqual(spans[i].Path, again[i].Path) {
				return false
			}
		}
	}
	return true
}

// checkPlain holds plainYAML to what walkYAML finds.
func checkPlain(t testing.TB, src []byte) {
	t.Helper()
	spans, ok := plainYAML(src)
	if !ok {
		return
	}
	w, err := walkYAML(src, false)
	if err != nil {
		t.Fatalf("plainYAML accepts what is refused: %v\n%q", err, src)
	}
	if len(w.spans) != len(spans) {
		t.Fatalf("plainYAML finds %d spans, not %d\n%q", len(spans), len(w.spans), src)
	}
	for i := range spans {
		if !reflect.DeepEqual(spans[i], w.spans[i]) {
			t.Fatalf("plainYAML finds %+v, not %+v\n%q", spans[i], w.spans[i], src)
		}
	}
}
