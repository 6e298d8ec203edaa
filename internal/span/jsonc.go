package span

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// JSONC is JSON with comments (// and /* */) and trailing commas, as editors,
// TypeScript and dev containers read their settings. A document without them
// stays one that JSON parsers read.
var JSONC = Format{
	Name:  "jsonc",
	Match: matchJSONC,
	Find:  withComments.find,
	Text:  textJSON,
	Quote: quoteJSON,
	Insert: func(src []byte, _ int, path []Step, text string) ([]byte, error) {
		return withComments.insert(src, path, text)
	},
	Delete: func(src []byte, _ int, path []Step) ([]byte, error) { return withComments.remove(src, path) },
	Attach: withComments.attach,
	Detach: withComments.detach,
}

// matchJSONC knows the names whose programs take comments. Names that others
// have too, such as settings.json, are JSON unless somebody says otherwise.
func matchJSONC(base string) bool {
	base = strings.ToLower(base)
	switch path.Ext(base) {
	case ".jsonc", ".code-workspace":
		return true
	case ".json":
		name := strings.TrimSuffix(base, ".json")
		config, _, _ := strings.Cut(strings.ReplaceAll(name, "-", "."), ".")
		return config == "tsconfig" || config == "jsconfig" || strings.TrimPrefix(name, ".") == "devcontainer"
	}
	return false
}

// comment passes a comment; false if there is none, or if it has no end.
func (s *jsonScan) comment() bool {
	start, from := s.pos, s.pos+2
	var to int
	blanks := " \t"
	switch {
	case bytes.HasPrefix(s.src[start:], []byte("//")):
		to = lineEnd(s.src, start)
		if i := bytes.IndexByte(s.src[start:to], '\r'); i >= 0 {
			s.err = &Error{start + i, "a carriage return in a comment", "some programs take it for a line break, which ends the comment: convert the line ends"}
			return false
		}
		s.pos = to
	case bytes.HasPrefix(s.src[start:], []byte("/*")):
		n := bytes.Index(s.src[from:], []byte("*/"))
		if n < 0 {
			s.err = errorAt(start, "not valid JSON: the comment has no end")
			return false
		}
		blanks += "\r\n"
		to = from + n
		s.pos = to + 2
	default:
		return false
	}
	s.extra = append(s.extra, [2]int{start, s.pos})
	to = from + len(bytes.TrimRight(s.src[from:to], blanks))
	from = to - len(bytes.TrimLeft(s.src[from:to], blanks))
	if from < to {
		s.spans = append(s.spans, Span{Start: from, End: to, Kind: Comment, Starts: true})
	}
	return true
}

// StandardJSON returns a document of JSONC as JSON, with white space in the
// place of comments and trailing commas.
func StandardJSON(src []byte) ([]byte, error) {
	s := withComments.scan(src)
	if err := s.document(); err != nil {
		return nil, err
	}
	return s.blanked(), nil
}

// blanked is the source with white space in the place of what is no JSON.
func (s *jsonScan) blanked() []byte {
	out := bytes.Clone(s.src)
	for _, e := range s.extra {
		for i := e[0]; i < e[1]; i++ {
			out[i] = ' '
		}
	}
	return out
}

// comma returns the offset of the comma between from and to, where else only
// white space and comments are, or -1; and whether there are comments.
func (k jsonKind) comma(src []byte, from, to int) (at int, comments bool) {
	s := &jsonScan{src: src[from:to], kind: k}
	for s.blank(); s.pos < len(s.src) && s.err == nil; s.blank() {
		s.pos++ // the comma
	}
	if at = bytes.IndexByte(s.blanked(), ','); at >= 0 {
		at += from
	}
	return at, len(s.extra) > 0
}

// without returns src without member i of n, its comma, and its line if
// nothing else is on it. Comments stay.
func (n *jsonNode) without(k jsonKind, src []byte, i int) []byte {
	m := n.members[i]
	left, right := n.start+1, n.end-1
	if i > 0 {
		left = n.members[i-1].value.end
	}
	if i+1 < len(n.members) {
		right = n.members[i+1].start
	}
	before, c1 := k.comma(src, left, m.start)
	comma, c2 := k.comma(src, m.value.end, right)
	if !c1 && !c2 {
		return n.cut(src, i)
	}
	if comma < 0 {
		comma = before
	}
	from, to := m.start, m.value.end
	if comma >= to && skipBlanks(src, to, comma) == comma {
		to = comma + 1
	}
	line := bytes.LastIndexByte(src[:from], '\n') + 1
	if skipBlanks(src, line, from) == from {
		end := lineEnd(src, to)
		if to = skipBlanks(src, to, end); to == end {
			from, to = line, nextLine(src, end)
		}
	}
	switch {
	case comma >= to:
		return slices.Concat(src[:from], src[to:comma], src[comma+1:])
	case comma >= 0 && comma < from:
		return slices.Concat(src[:comma], src[comma+1:from], src[to:])
	}
	return slices.Concat(src[:from], src[to:])
}
