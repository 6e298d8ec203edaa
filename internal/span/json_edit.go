package span

import (
	"bytes"
	"strings"
)

// Changes of a JSON document: the block as its last member, and members put
// in and taken out. Layout is copied from what stands around.

// jsonRoot is what attachJSON needs to know of a root object or array.
type jsonRoot struct {
	list bool
	open int    // offset behind the opening bracket
	last int    // offset behind the last member; open if there is none
	end  int    // offset of the closing bracket
	ws   string // white space in front of the first member
}

func rootJSON(src []byte) (jsonRoot, error) {
	s := &jsonScan{src: src}
	if bytes.HasPrefix(src, []byte(bom)) {
		s.pos = len(bom)
	}
	s.blank()
	if c := s.peek(); c != '{' && c != '[' {
		return jsonRoot{}, errorAt(s.pos, "the root must be an object or an array")
	}
	r := jsonRoot{list: s.peek() == '[', open: s.pos + 1}
	s.pos++
	s.blank()
	r.ws = string(src[r.open:s.pos])
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

// attachJSON carries the lines as one last member "leafseal" of a root
// object, or one last element {"leafseal": […]} of a root array. Its layout
// follows from body alone.
func attachJSON(body []byte, lines []string) ([]byte, error) {
	r, err := rootJSON(body)
	if err != nil {
		return nil, err
	}
	var b []byte
	empty := r.last == r.open
	if !empty {
		b = append(b, ',')
	}
	eol, unit := "", ""
	if i := strings.LastIndexByte(r.ws, '\n'); i >= 0 && !empty && bytes.IndexByte(body[r.last:r.end], '\n') >= 0 {
		eol = lineBreak(body) + strings.TrimLeft(r.ws[i+1:], "\r")
		unit = strings.TrimLeft(r.ws[i+1:], "\r")
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

// detachJSON finds the last member "leafseal" if it is a list of strings in
// the place where attachJSON writes it.
func detachJSON(src []byte) (body []byte, lines []string, ok bool) {
	at := bytes.LastIndex(src, []byte(`"`+blockMember+`"`))
	if at < 0 {
		return src, nil, false
	}
	s := &jsonScan{src: src, pos: at + len(blockMember) + 2}
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
	s.blank()
	if s.peek() != '}' {
		return src, nil, false
	}
	s.pos++
	s.blank()
	if s.peek() == ']' && bytes.HasSuffix(before, []byte("{")) { // {"leafseal": […]} in an array
		start, stop = len(before)-1, bytes.IndexByte(src[stop:], '}')+stop+1
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

// treeJSON reads the tree of a document that findJSON accepts.
func treeJSON(src []byte) jsonNode {
	s := &jsonScan{src: src}
	if bytes.HasPrefix(src, []byte(bom)) {
		s.pos = len(bom)
	}
	return s.node()
}

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
			s.blank()
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
	if _, err := findJSON(src); err != nil {
		return nil, err
	}
	n := treeJSON(src)
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
		out := n.with(src, member, unit)
		_, err = findJSON(out)
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

// with returns src with a member put behind the last of n.
func (n *jsonNode) with(src, member []byte, unit string) []byte {
	var b []byte
	at := n.start + 1
	eol, indent := lineBreak(src), lineIndent(src, n.start)
	switch {
	case len(n.members) > 0:
		at = n.members[len(n.members)-1].value.end
		b = append(b, ',')
		if multiline(src, n) {
			b = append(append(b, eol...), indent+unit...)
		} else {
			b = append(b, ' ')
		}
		b = append(b, member...)
	case multiline(src, n):
		b = append(append(append(append(b, eol...), indent+unit...), member...), eol+indent...)
		return append(append(append([]byte(nil), src[:at]...), b...), src[n.end-1:]...)
	default:
		b = member
	}
	return append(append(append([]byte(nil), src[:at]...), b...), src[at:]...)
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

func deleteJSON(src []byte, _ int, path []Step) ([]byte, error) {
	if _, err := findJSON(src); err != nil {
		return nil, err
	}
	n := treeJSON(src)
	for i, step := range path {
		at, err := n.find(step)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			return nil, errorAt(n.start, "there is no such value")
		}
		if i < len(path)-1 {
			n = n.members[at].value
			continue
		}
		from, to := n.members[at].start, n.members[at].value.end
		switch {
		case at > 0: // with the comma in front
			from = n.members[at-1].value.end
		case len(n.members) > 1: // with the comma behind
			to = n.members[1].start
		default:
			from, to = n.start+1, n.end-1
		}
		return append(append([]byte(nil), src[:from]...), src[to:]...), nil
	}
	return nil, errorAt(0, "there is no such value")
}
