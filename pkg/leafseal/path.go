package leafseal

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leafseal/leafseal/internal/seal"
	"github.com/leafseal/leafseal/internal/span"
)

// address is a parsed path: what a person writes to name a value.
type address struct {
	doc   int
	steps []span.Step
}

// parsePath reads a path: keys joined by ".", list positions as "[N]", keys
// with other characters than letters, digits, "_", "-", "/" in double quotes
// with Go's escapes; "@N." in front names document N of a stream, from 0.
func parsePath(path string) (address, error) {
	var a address
	rest := path
	if n, after, ok := strings.Cut(rest, "."); ok && strings.HasPrefix(n, "@") {
		doc, err := strconv.Atoi(n[1:])
		if err != nil || doc < 0 {
			return a, badPath(path)
		}
		a.doc, rest = doc, after
	}
	for first := true; first || rest != ""; first = false {
		if !first && rest[0] == '.' {
			rest = rest[1:]
			if rest == "" || rest[0] == '[' {
				return a, badPath(path)
			}
		} else if !first && rest[0] != '[' {
			return a, badPath(path)
		}
		step, after, ok := parseStep(rest)
		if !ok {
			return a, badPath(path)
		}
		a.steps, rest = append(a.steps, step), after
	}
	return a, nil
}

func badPath(path string) error {
	return &Error{Key: path, Err: fmt.Errorf("%w: this is not a path", ErrNotFound), Hint: `write it like db.password, servers[0].host or "a.b".c`}
}

func parseStep(s string) (step span.Step, rest string, ok bool) {
	if s == "" {
		return step, s, false
	}
	switch s[0] {
	case '[':
		n, rest, ok := strings.Cut(s[1:], "]")
		i, err := strconv.Atoi(n)
		return span.Step{Kind: span.List, Index: i}, rest, ok && err == nil && i >= 0
	case '"':
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return step, s, false
		}
		key, err := strconv.Unquote(quoted)
		return span.Step{Kind: "str", Key: key}, s[len(quoted):], err == nil
	}
	end := strings.IndexAny(s, `.["]`)
	if end < 0 {
		end = len(s)
	}
	return span.Step{Kind: "str", Key: s[:end]}, s[end:], end > 0
}

// formatPath is the reverse of parsePath.
func formatPath(doc int, steps []span.Step) string {
	var b strings.Builder
	if doc > 0 {
		fmt.Fprintf(&b, "@%d", doc)
	}
	for _, s := range steps {
		if s.Kind == span.List {
			fmt.Fprintf(&b, "[%d]", s.Index)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(quoteKey(s.Key))
	}
	return b.String()
}

// quoteKey writes a key so that it can be read back, and so that no control
// character of it reaches a terminal.
func quoteKey(key string) string {
	plain := key != "" && key[0] != '@' && key[0] != '#'
	for _, c := range key {
		plain = plain && c != '\ufffd' && (strconv.IsPrint(c) && !strings.ContainsRune(` ."[]\`, c))
	}
	if plain {
		return key
	}
	return strconv.Quote(key)
}

// dotted is what a rule's regular expressions see: the keys joined by ".",
// without list positions.
func dotted(steps []span.Step) string {
	var keys []string
	for _, s := range steps {
		if s.Kind != span.List && s.Key != "" {
			keys = append(keys, s.Key)
		}
	}
	return strings.Join(keys, ".")
}

// encodePath encodes what identifies a span: the document number, each key
// with its kind, and a bare step for each list level. A comment has none.
func encodePath(dst []byte, s *span.Span) []byte {
	if s.Kind == span.Comment {
		return dst
	}
	dst = seal.Number(dst, s.Doc)
	for i := range s.Path {
		if s.Path[i].Kind == span.List {
			dst = seal.Bytes(dst, span.List)
			continue
		}
		size := len(s.Path[i].Kind) + len(s.Path[i].Key) + 10
		dst = append(dst, 'l', byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
		dst = seal.Bytes(dst, s.Path[i].Kind)
		dst = seal.Bytes(dst, s.Path[i].Key)
	}
	return dst
}

// names reports whether a span's path is the address, whatever the scalar
// kinds of its keys.
func (a address) names(s *span.Span) bool {
	return s.Kind == span.Value && s.Doc == a.doc && len(s.Path) == len(a.steps) && a.within(s)
}

// within reports whether a span stands at the address or below it.
func (a address) within(s *span.Span) bool {
	if s.Kind != span.Value || s.Doc != a.doc || len(s.Path) < len(a.steps) {
		return false
	}
	for i, want := range a.steps {
		have := s.Path[i]
		if (have.Kind == span.List) != (want.Kind == span.List) || have.Key != want.Key || have.Index != want.Index {
			return false
		}
	}
	return true
}

// above reports whether the address lies below a span: an empty collection
// that gets its first entry, or what stands there once the last is gone.
func (a address) above(s *span.Span) bool {
	up := address{a.doc, s.Path}
	return s.Kind == span.Value && len(s.Path) < len(a.steps) && up.within(&span.Span{Kind: span.Value, Doc: a.doc, Path: a.steps})
}

func (a address) String() string { return formatPath(a.doc, a.steps) }
