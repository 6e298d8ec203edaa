package migrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/leafseal/leafseal/internal/span"
)

// JSON, dotenv and INI: documents without surprises in them.

// loadJSON reads an encrypted object.
func (s *sopsFile) loadJSON() (map[string]any, error) {
	tree, _, err := jsonTree(s.src)
	if err != nil {
		return nil, err
	}
	var whole struct {
		Sops map[string]any `json:"sops"`
	}
	if err := json.Unmarshal(s.src, &whole); err != nil {
		return nil, fail(ErrForeign, "there is no metadata of sops in it")
	}
	s.docs = []branch{slices.DeleteFunc(tree, func(it item) bool { return it.key == metaKey })}
	s.plain = s.plainJSON
	return whole.Sops, nil
}

// jsonTree reads an object with all its members, repeated ones too.
func jsonTree(src []byte) (branch, []span.Span, error) {
	spans, err := span.JSON.Find(src)
	if err != nil {
		return nil, nil, spanError(src, err)
	}
	if body := bytes.TrimLeft(src, " \t\r\n\ufeff"); len(body) == 0 || body[0] != '{' {
		return nil, nil, fail(ErrUnsupported, "sops takes only JSON whose root is an object")
	}
	b := &jsonBuild{src: src, spans: spans}
	tree := b.members(0)
	return tree, spans, b.err
}

// jsonBuild makes a tree from the paths of spans. Two members of the same
// name beside each other, both with members of their own, become one: that is
// the same for the MAC.
type jsonBuild struct {
	src   []byte
	spans []span.Span
	next  int
	lines lineCounter
	err   error
}

// lineCounter counts lines up to offsets that grow.
type lineCounter struct{ at, line int }

func (c *lineCounter) of(src []byte, offset int) int {
	c.line += bytes.Count(src[c.at:offset], []byte("\n"))
	c.at = offset
	return c.line + 1
}

// in reports whether the next span stands at depth n below the path.
func (b *jsonBuild) in(path []span.Step) bool {
	if b.next == len(b.spans) || b.err != nil {
		return false
	}
	p := b.spans[b.next].Path
	return len(p) >= len(path) && slices.Equal(p[:len(path)], path)
}

func (b *jsonBuild) members(depth int) branch {
	m := branch{}
	for first := b.next; b.next < len(b.spans) && b.in(b.spans[first].Path[:depth]); {
		step := b.spans[b.next].Path[depth]
		m = append(m, item{key: step.Key, value: b.value(depth + 1)})
	}
	return m
}

func (b *jsonBuild) elements(depth int) list {
	l := list{}
	for first := b.next; b.next < len(b.spans) && b.in(b.spans[first].Path[:depth]); {
		v := b.value(depth + 1)
		if leaf, ok := v.(*leaf); ok {
			leaf.inList = true
		}
		l = append(l, v)
	}
	return l
}

func (b *jsonBuild) value(depth int) any {
	s := &b.spans[b.next]
	if len(s.Path) > depth {
		if s.Path[depth].Kind == span.List {
			return b.elements(depth)
		}
		return b.members(depth)
	}
	b.next++
	text := b.src[s.Start:s.End]
	switch text[0] {
	case '{':
		return branch{}
	case '[':
		return list{}
	}
	l := &leaf{line: b.lines.of(b.src, s.Start), at: s}
	switch text[0] {
	case '"':
		str, err := span.JSON.Text(b.src, *s)
		if err != nil {
			b.err = spanError(b.src, err)
		}
		l.value = str
	case 't', 'f':
		l.value = text[0] == 't'
	case 'n':
	default:
		if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			l.value = int(i)
		} else if f, err := strconv.ParseFloat(string(text), 64); err == nil {
			l.value = f
		} else {
			b.err = l.fail(nil, ErrUnsupported, "a number that is too large")
		}
	}
	return l
}

// plainBinary is the one text of a binary file.
func (s *sopsFile) plainBinary() ([]byte, error) {
	for _, it := range s.docs[0] {
		if l, ok := it.value.(*leaf); ok && it.key == "data" && len(s.docs[0]) == 1 {
			if text, ok := l.value.(string); ok {
				return []byte(text), nil
			}
		}
	}
	return nil, fail(ErrUnsupported, "not a binary file of sops: it should hold one text, data")
}

// plainJSON puts the values into the place of their tokens, and takes the
// metadata out, and the elements that were comments.
func (s *sopsFile) plainJSON() ([]byte, error) {
	if s.format == "binary" {
		return s.plainBinary()
	}
	var edits []edit
	gone := [][]span.Step{{{Kind: "str", Key: metaKey}}}
	err := s.rules.walk(s.docs[0], func(l *leaf, path []string, _ bool) error {
		sp := l.at.(*span.Span)
		if !l.opened {
			return nil
		}
		if _, ok := l.value.(commentText); ok {
			gone = append(gone, sp.Path)
			return nil
		}
		text, why := jsonText(l.value)
		if why != "" {
			return l.fail(path, ErrUnsupported, "%s", why)
		}
		edits = append(edits, edit{sp.Start, sp.End, text})
		return nil
	})
	if err != nil {
		return nil, err
	}
	plain := apply(s.src, edits)
	for i := len(gone) - 1; i >= 0; i-- {
		if plain, err = span.JSON.Delete(plain, 0, gone[i]); err != nil {
			return nil, spanError(plain, err)
		}
	}
	tree, _, err := jsonTree(plain)
	if err != nil {
		return nil, err
	}
	same := func(a, b any) bool {
		if t, ok := a.(time.Time); ok {
			a = t.Format(time.RFC3339Nano)
		}
		return sameValue(a, b)
	}
	if !slices.EqualFunc(flatten(nil, s.docs[0]), flatten(nil, tree), same) {
		return nil, fail(ErrUnsupported, "it cannot be written as plain JSON with the same values")
	}
	return plain, nil
}

// jsonText writes a value, or says why JSON cannot hold it.
func jsonText(v any) (text, why string) {
	switch v := v.(type) {
	case string:
		text, err := span.JSON.Quote(v, []byte(`""`), span.Span{End: 2, Kind: span.Value})
		if err != nil {
			return "", "the text is not valid UTF-8, which JSON cannot hold"
		}
		return string(text), ""
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", "a number that JSON cannot hold"
		}
		return floatText(v), ""
	case time.Time:
		return `"` + v.Format(time.RFC3339Nano) + `"`, ""
	}
	return fmt.Sprint(v), ""
}

// flatLine is a line of a dotenv or INI file.
type flatLine struct {
	start, end int // of the value or the comment's text
	line       int // in the plaintext, from 1
	key        string
	leaf       *leaf
}

// loadDotenv reads lines as sops does: no quotes, no blanks around names; "\n"
// in a value is a line break.
func (s *sopsFile) loadDotenv() (map[string]any, error) {
	meta := map[string]string{}
	var doc branch
	var lines []flatLine
	var cuts []edit
	plainLine := 0
	for at, n := 0, 1; at < len(s.src); n++ {
		end := lineEnd(s.src, at)
		line := string(s.src[at:end])
		key, value, ok := strings.Cut(line, "=")
		plainLine++
		switch {
		case line == "":
		case line[0] == '#':
			l := &leaf{isComment: true, text: line[1:], line: n}
			doc = append(doc, item{comment: l})
			lines = append(lines, flatLine{start: at + 1, end: end, line: plainLine, leaf: l})
		case !ok:
			e := fail(ErrUnsupported, "a line without \"=\", which sops does not take")
			e.Line = n
			return nil, e
		case strings.HasPrefix(key, metaKey+"_"):
			meta[key[len(metaKey)+1:]] = unescapeLines(strings.TrimSuffix(value, "\r"))
			cuts = append(cuts, edit{at, min(end+1, len(s.src)), ""})
			plainLine--
		default:
			l := &leaf{value: unescapeLines(value), line: n}
			doc = append(doc, item{key: key, value: l})
			lines = append(lines, flatLine{start: at + len(key) + 1, end: end, line: plainLine, leaf: l})
		}
		at = end + 1
	}
	s.docs = []branch{doc}
	s.plain = func() ([]byte, error) { return s.plainLines(lines, cuts), nil }
	return unflatten(meta)
}

// plainLines puts the values into the place of their tokens, and notes where
// what was encrypted stands.
func (s *sopsFile) plainLines(lines []flatLine, edits []edit) []byte {
	for _, l := range lines {
		if l.leaf.opened {
			edits = append(edits, edit{l.start, l.end, strings.ReplaceAll(flatText(l.leaf.value), "\n", `\n`)})
		}
	}
	plain := apply(s.src, edits)
	byLine := map[int]*leaf{}
	for _, l := range lines {
		byLine[l.line] = l.leaf
	}
	starts := []int{0}
	for i, c := range plain {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	lineAt := func(offset int) int { n, _ := slices.BinarySearch(starts, offset+1); return n }
	s.flat = func(sp span.Span) (secret, known bool) {
		for n := lineAt(sp.Start); n <= lineAt(sp.End); n++ {
			if l := byLine[n]; l != nil && !l.isComment {
				secret, known = secret || l.selected, true
			}
		}
		return secret, known
	}
	return plain
}

func unescapeLines(s string) string { return strings.ReplaceAll(s, `\n`, "\n") }

// flatText is a value as sops writes it where all values are strings.
func flatText(v any) string {
	switch v := v.(type) {
	case float64:
		s := strconv.FormatFloat(v, 'G', -1, 64)
		if !strings.ContainsAny(s, ".E") {
			s = strconv.FormatFloat(v, 'f', 1, 64)
		}
		return s
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

// unflatten reads the metadata where it is one line per field:
// age__list_0__map_recipient is age[0].recipient.
func unflatten(flat map[string]string) (map[string]any, error) {
	if len(flat) == 0 {
		return nil, nil
	}
	root := map[string]any{}
	for key, value := range flat {
		path := strings.Split(strings.ReplaceAll(key, "__list_", "__map_#"), "__map_")
		at := root
		for _, step := range path[:len(path)-1] {
			next, ok := at[step].(map[string]any)
			if !ok {
				if at[step] != nil {
					return nil, fail(ErrTampered, "its metadata is damaged")
				}
				next = map[string]any{}
				at[step] = next
			}
			at = next
		}
		at[path[len(path)-1]] = value
	}
	m, _ := withLists(root).(map[string]any)
	return m, nil
}

// withLists makes lists of the maps whose keys are "#0", "#1", ….
func withLists(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	var places []int
	for k, e := range m {
		m[k] = withLists(e)
		if n, err := strconv.Atoi(strings.TrimPrefix(k, "#")); err == nil && k[0] == '#' {
			places = append(places, n)
		}
	}
	if len(places) == 0 || len(places) != len(m) {
		return m
	}
	sort.Ints(places)
	var l []any
	for _, n := range places {
		l = append(l, m["#"+strconv.Itoa(n)])
	}
	return l
}
