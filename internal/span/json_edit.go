package span

import (
	"bytes"
	"slices"
	"strings"
)

// Changes of a JSON document: the block as its last member, and members put
// in and taken out. Layout is copied from what stands around.

// jsonRoot is what the block needs to know of a root object or array.
type jsonRoot struct {
	list  bool
	open  int // offset behind the opening bracket
	first int // offset of the first member
	last  int // offset behind the last member; open if there is none
	end   int // offset of the closing bracket
}

func (k jsonKind) root(src []byte) (jsonRoot, error) {
	s := k.scan(src)
	if c := s.peek(); c != '{' && c != '[' {
		return jsonRoot{}, errorAt(s.pos, "the root must be an object or an array")
	}
	if k.comments { // the end of the last member can only be known from the front
		err := s.document()
		return s.root, err
	}
	r := jsonRoot{list: s.peek() == '[', open: s.pos + 1}
	s.pos++
	s.blank()
	r.first = s.pos
	r.end = len(bytes.TrimRight(src, " \t\r\n")) - 1
	if r.end < r.open || src[r.end] != "}]"[b2i(r.list)] {
		return r, errorAt(len(src), "the root is not closed")
	}
	r.last = r.open + len(bytes.TrimRight(src[r.open:r.end], " \t\r\n"))
	return r, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// attach carries the lines as one last member "leafseal" of a root object, or
// one last element {"leafseal": […]} of a root array, directly behind the last
// value: a comma and comments that follow that stay behind the block. Its
// layout follows from body alone.
func (k jsonKind) attach(body []byte, lines []string) ([]byte, error) {
	r, err := k.root(body)
	if err != nil {
		return nil, err
	}
	var b []byte
	empty := r.last == r.open
	if !empty {
		b = append(b, ',')
	}
	eol, unit := "", ""
	if i := bytes.LastIndexByte(body[r.open:max(r.open, r.first)], '\n'); i >= 0 && !empty && bytes.IndexByte(body[r.last:r.end], '\n') >= 0 {
		line := body[r.open+i+1 : r.first]
		line = line[:len(line)-len(bytes.TrimLeft(line, " \t\r"))] // in front of a comment
		unit = strings.TrimLeft(string(line), "\r")
		eol = lineBreak(body) + unit
		if unit == "" {
			unit = "  "
		}
		b = append(b, eol...)
	} else if !empty {
		b = append(b, ' ')
	}
	if r.list {
		b = append(b, '{')
	}
	b = append(b, `"`+blockMember+`": [`...)
	for i, l := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		if eol != "" {
			b = append(append(b, eol...), unit...)
		} else if i > 0 {
			b = append(b, ' ')
		}
		b = appendJSON(b, l)
	}
	b = append(append(b, eol...), ']')
	if r.list {
		b = append(b, '}')
	}
	out := make([]byte, 0, len(body)+len(b))
	return append(append(append(out, body[:r.last]...), b...), body[r.last:]...), nil
}

// detach finds the last member "leafseal" if it is a list of strings in the
// place where attach writes it.
func (k jsonKind) detach(src []byte) (body []byte, lines []string, ok bool) {
	at := bytes.LastIndex(src, []byte(`"`+blockMember+`"`))
	if k.comments && at >= 0 { // that may stand in a comment
		s := k.scan(src)
		s.withBlock = true
		if s.document() != nil {
			return src, nil, false
		}
		at = s.block
	}
	if at <= 0 {
		return src, nil, false
	}
	s := &jsonScan{src: src, kind: k, pos: at + len(blockMember) + 2}
	s.blank()
	if s.peek() != ':' {
		return src, nil, false
	}
	s.pos++
	s.blank()
	lines, ok = s.strings()
	if !ok {
		return src, nil, false
	}
	start, stop := at, s.pos
	before := bytes.TrimRight(src[:at], " \t\r\n")
	s.comma()
	if s.peek() != '}' {
		return src, nil, false
	}
	s.pos++
	closed := s.pos
	s.comma()
	if s.peek() == ']' && bytes.HasSuffix(before, []byte("{")) { // {"leafseal": […]} in an array
		start, stop = len(before)-1, closed
		before = bytes.TrimRight(src[:start], " \t\r\n")
		s.pos++
		s.blank()
	}
	if s.pos != len(src) {
		return src, nil, false
	}
	if bytes.HasSuffix(before, []byte(",")) {
		start = len(before) - 1
	} else if !bytes.HasSuffix(before, []byte("{")) && !bytes.HasSuffix(before, []byte("[")) {
		return src, nil, false
	} else {
		start = len(before)
	}
	body = make([]byte, 0, len(src)-(stop-start))
	return append(append(body, src[:start]...), src[stop:]...), lines, true
}

// comma passes white space, with the comma that may be in it.
func (s *jsonScan) comma() {
	if s.blank(); s.kind.comments && s.peek() == ',' {
		s.pos++
		s.blank()
	}
}

// strings reads an array of strings.
func (s *jsonScan) strings() (list []string, ok bool) {
	if s.peek() != '[' {
		return nil, false
	}
	for s.pos++; ; s.pos++ {
		s.blank()
		start := s.pos
		if s.peek() != '"' || s.str() != nil {
			return nil, false
		}
		list = append(list, unquoteJSON(s.src[start:s.pos], true))
		s.blank()
		switch s.peek() {
		case ']':
			s.pos++
			return list, true
		case ',':
		default:
			return nil, false
		}
	}
}

// jsonNode is a value in the tree that edits look at.
type jsonNode struct {
	start, end int
	kind       byte // '{', '[' or 0
	members    []jsonMember
}

type jsonMember struct {
	start int // of the key, or of the element
	key   string
	value jsonNode
}

// tree reads the tree of a document that find accepts.
func (k jsonKind) tree(src []byte) jsonNode { return k.scan(src).node() }

func (s *jsonScan) node() jsonNode {
	s.blank()
	n := jsonNode{start: s.pos, kind: s.peek()}
	if n.kind != '{' && n.kind != '[' {
		s.scalar()
		n.kind, n.end = 0, s.pos
		return n
	}
	s.pos++
	for s.blank(); s.peek() != n.kind+2; s.blank() {
		if s.peek() == ',' {
			s.pos++
			if s.blank(); s.peek() == n.kind+2 {
				break
			}
		}
		m := jsonMember{start: s.pos}
		if n.kind == '{' {
			s.str()
			m.key = unquoteJSON(s.src[m.start:s.pos], true)
			s.blank()
			s.pos++ // the colon
		}
		m.value = s.node()
		n.members = append(n.members, m)
	}
	s.pos++
	n.end = s.pos
	return n
}

// find returns the index of the member that step names; -1 if there is none.
func (n *jsonNode) find(step Step) (int, error) {
	if (step.Kind == List) != (n.kind == '[') {
		return -1, errorAt(n.start, "the path does not fit what stands there")
	}
	if step.Kind == List {
		if step.Index > len(n.members) {
			return -1, errorAt(n.start, "the list has %d elements", len(n.members))
		}
		if step.Index == len(n.members) {
			return -1, nil
		}
		return step.Index, nil
	}
	at := -1
	for i, m := range n.members {
		if m.key != step.Key {
			continue
		}
		if at >= 0 {
			return -1, errorAt(m.start, "the key stands there twice: the path is ambiguous")
		}
		at = i
	}
	return at, nil
}

func insertJSON(src []byte, _ int, path []Step, text string) ([]byte, error) {
	return strictJSON.insert(src, path, text)
}

func (k jsonKind) insert(src []byte, path []Step, text string) ([]byte, error) {
	if _, err := k.find(src); err != nil {
		return nil, err
	}
	n := k.tree(src)
	for i, step := range path {
		at, err := n.find(step)
		if err != nil {
			return nil, err
		}
		if at >= 0 {
			n = n.members[at].value
			continue
		}
		unit := indentUnit(src)
		member := nestJSON(path[i:], text, lineIndent(src, n.start)+unit, unit, lineBreak(src), multiline(src, &n))
		out := n.with(k, src, member, unit)
		_, err = k.find(out)
		return out, err
	}
	return nil, errorAt(n.start, "there is a value already")
}

// nestJSON writes the member for the first step of path, and what is in it.
func nestJSON(path []Step, text, indent, unit, eol string, multi bool) []byte {
	var b []byte
	if path[0].Kind != List {
		b = append(appendJSON(nil, path[0].Key), ": "...)
	}
	if len(path) == 1 {
		return appendJSON(b, text)
	}
	brackets := "{}"
	if path[1].Kind == List {
		brackets = "[]"
	}
	b = append(b, brackets[0])
	inner := nestJSON(path[1:], text, indent+unit, unit, eol, multi)
	if multi {
		b = append(append(append(b, eol...), indent+unit...), inner...)
		b = append(append(b, eol...), indent...)
	} else {
		b = append(b, inner...)
	}
	return append(b, brackets[1])
}

// with returns src with a member put behind the last of n, and behind what
// comments on that on the same line.
func (n *jsonNode) with(k jsonKind, src, member []byte, unit string) []byte {
	eol, indent := lineBreak(src), lineIndent(src, n.start)
	if len(n.members) == 0 {
		at := n.start + 1
		if !multiline(src, n) {
			return slices.Concat(src[:at], member, src[at:])
		}
		rest := src[at:]
		if len(bytes.TrimSpace(src[at:n.end-1])) == 0 {
			rest = append([]byte(eol+indent), src[n.end-1:]...)
		}
		return slices.Concat(src[:at], []byte(eol+indent+unit), member, rest)
	}
	sep := " "
	last := n.members[len(n.members)-1].value.end
	comma, _ := k.comma(src, last, n.end-1)
	at := max(last, comma+1)
	if end := lineEnd(src, at); multiline(src, n) && end < n.end-1 { // behind comments on the line
		if _, comments := k.comma(src, at, end); comments {
			at = trimBlanks(src, at, end)
		}
	}
	if multiline(src, n) {
		sep = eol + indent + unit
	}
	if comma >= 0 {
		return slices.Concat(src[:at], []byte(sep), member, []byte(","), src[at:])
	}
	return slices.Concat(src[:last], []byte(","), src[last:at], []byte(sep), member, src[at:])
}

// multiline reports whether n's members stand on lines of their own; for an
// empty one, whether the document has lines.
func multiline(src []byte, n *jsonNode) bool {
	if len(n.members) == 0 {
		return bytes.IndexByte(bytes.TrimSpace(src), '\n') >= 0
	}
	return bytes.IndexByte(src[n.start:n.members[0].start], '\n') >= 0
}

// lineIndent is the white space in front of the line that holds offset at.
func lineIndent(src []byte, at int) string {
	line := src[bytes.LastIndexByte(src[:at], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// indentUnit is the indentation of the document's first indented line.
func indentUnit(src []byte) string {
	for _, line := range bytes.Split(src, []byte("\n")) {
		if rest := bytes.TrimLeft(line, " \t"); len(rest) < len(line) && len(bytes.TrimSpace(rest)) > 0 {
			return string(line[:len(line)-len(rest)])
		}
	}
	return "  "
}

func deleteJSON(src []byte, _ int, path []Step) ([]byte, error) { return strictJSON.remove(src, path) }

func (k jsonKind) remove(src []byte, path []Step) ([]byte, error) {
	if _, err := k.find(src); err != nil {
		return nil, err
	}
	n := k.tree(src)
	for i, step := range path {
		at, err := n.find(step)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			return nil, errorAt(n.start, "there is no such value")
		}
		if i == len(path)-1 {
			return n.without(k, src, at), nil
		}
		n = n.members[at].value
	}
	return nil, errorAt(0, "there is no such value")
}

// cut returns src without member i of n, and without the white space and the
// comma beside it.
func (n *jsonNode) cut(src []byte, i int) []byte {
	from, to := n.members[i].start, n.members[i].value.end
	switch {
	case i > 0: // with the comma in front
		from = n.members[i-1].value.end
	case len(n.members) > 1: // with the comma behind
		to = n.members[1].start
	default:
		from, to = n.start+1, n.end-1
	}
	return slices.Concat(src[:from], src[to:])
}
