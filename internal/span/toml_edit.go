package span

import (
	"bytes"
	"slices"
	"strings"
)

// Entries of TOML put in. A new key goes into the table that stands there
// already, behind its neighbours and written as they are; a new table gets a
// header behind what stands under the same table.

// tomlEdit is a scanned document with its tree in the other direction.
type tomlEdit struct {
	*tomlScan
	eol     string
	kids    [][]int
	section []int // of a table: its section; -1: it has none
}

func editTOML(src []byte) (*tomlEdit, error) {
	s, err := scanTOML(src)
	if err != nil {
		return nil, err
	}
	e := &tomlEdit{tomlScan: s, eol: lineBreak(src), kids: make([][]int, len(s.nodes)), section: make([]int, len(s.nodes))}
	for i := range s.nodes {
		e.section[i] = -1
		if i > 0 {
			p := s.nodes[i].parent
			e.kids[p] = append(e.kids[p], i)
		}
	}
	for i, sec := range s.sections {
		e.section[sec.table] = i
	}
	return e, nil
}

// child returns the node that step names in n; -1 if there is none yet.
func (e *tomlEdit) child(n int, step Step) (int, error) {
	switch k := e.nodes[n].kind; {
	case k == tomlScalar || (step.Kind == List) != (k == tomlList || k == tomlTables):
		return -1, errorAt(e.where(n), "the path does not fit what stands there")
	case step.Kind != List:
		if id, ok := e.at[tomlKey{n, step.Key}]; ok {
			return id, nil
		}
		return -1, nil
	case step.Index > len(e.kids[n]):
		return -1, errorAt(e.where(n), "the list has %d elements", len(e.kids[n]))
	case step.Index < len(e.kids[n]):
		return e.kids[n][step.Index], nil
	}
	return -1, nil
}

// where is an offset to name n by.
func (e *tomlEdit) where(n int) int {
	if e.nodes[n].kind < tomlTables || n == 0 {
		return e.nodes[n].start
	}
	return e.sections[max(0, e.lastSection(n))].start
}

func insertTOML(src []byte, _ int, path []Step, text string) ([]byte, error) {
	if !validText(text, path) {
		return nil, errorAt(len(src), "the text or its key is not valid UTF-8, which TOML cannot hold")
	}
	e, err := editTOML(src)
	if err != nil {
		return nil, err
	}
	n := 0
	for i, step := range path {
		next, err := e.child(n, step)
		if err != nil {
			return nil, err
		}
		if next >= 0 {
			n = next
			continue
		}
		out, err := e.put(n, path[:i], path[i:], text)
		if err != nil {
			return nil, err
		}
		if _, err := findTOML(out); err != nil {
			return nil, errorAt(0, "the change does not fit the layout that is there")
		}
		return out, nil
	}
	return nil, errorAt(e.where(n), "there is a value already")
}

func validText(text string, path []Step) bool {
	for _, step := range path {
		text += step.Key
	}
	return strings.ToValidUTF8(text, "") == text
}

// put writes a new value at rest below the node n, which stands at path.
func (e *tomlEdit) put(n int, path, rest []Step, text string) ([]byte, error) {
	if slices.ContainsFunc(rest[1:], func(s Step) bool { return s.Index > 0 }) {
		return nil, &Error{e.where(n), "there is no such list", "a new list starts at [0]"}
	}
	switch e.nodes[n].kind {
	case tomlList:
		return e.putElement(n, flowTOML(rest[1:], text)), nil
	case tomlInline:
		return e.putInline(n, n, entryTOML(rest, " = ", text)), nil
	case tomlTables:
		if len(rest) < 2 || rest[1].Kind == List {
			return nil, &Error{e.where(n), "an element of an array of tables is a table", "name one of its keys"}
		}
		return e.putSection(n, "[["+headerTOML(path)+"]]", entryTOML(rest[1:], " = ", text)), nil
	case tomlDotted:
		return e.putDotted(n, path, rest, text), nil
	}
	keys := 0 // in front of the first list step
	for keys < len(rest) && rest[keys].Kind != List {
		keys++
	}
	head, body := rest[:keys-1], rest[keys-1:]
	switch {
	case keys+1 < len(rest) && rest[keys+1].Kind != List: // a list of tables
		head, body = rest[:keys], rest[keys+1:]
		return e.putSection(n, "[["+headerTOML(path, head...)+"]]", entryTOML(body, " = ", text)), nil
	case len(head) > 0 || e.nodes[n].kind == tomlImplied:
		return e.putSection(n, "["+headerTOML(path, head...)+"]", entryTOML(body, " = ", text)), nil
	}
	return e.putEntry(n, body, text), nil
}

// putEntry writes a line into the section of table n.
func (e *tomlEdit) putEntry(n int, path []Step, text string) []byte {
	sec := e.sections[e.section[n]]
	if sec.last > 0 {
		return e.putLine(sec.end, sec.last, path, text)
	}
	if n == 0 {
		line := entryTOML(path, " = ", text)
		at := e.lead(1)
		if at == len(e.src) {
			return e.append(line)
		}
		return splice(e.src, at, at, line+e.eol+e.eol)
	}
	line := lineIndent(e.src, sec.start) + entryTOML(path, " = ", text)
	if sec.end == len(e.src) && e.src[sec.end-1] != '\n' {
		return splice(e.src, sec.end, sec.end, e.eol+line)
	}
	return splice(e.src, sec.end, sec.end, line+e.eol)
}

// putLine writes a line behind offset at, which ends the line of the entry
// that it shall look like.
func (e *tomlEdit) putLine(at, like int, path []Step, text string) []byte {
	v := e.nodes[like]
	key := len(bytes.TrimRight(e.src[:v.start], " \t")) - 1 // where the = is
	equals := string(e.src[len(bytes.TrimRight(e.src[:key], " \t")):v.start])
	line := lineIndent(e.src, v.entry) + entryTOML(path, equals, text)
	if at == len(e.src) && e.src[at-1] != '\n' {
		return splice(e.src, at, at, e.eol+line)
	}
	return splice(e.src, at, at, line+e.eol)
}

// putDotted writes an entry below a table that dotted keys made.
func (e *tomlEdit) putDotted(n int, path, rest []Step, text string) []byte {
	owner := n
	for e.nodes[owner].kind == tomlDotted {
		owner = e.nodes[owner].parent
		path, rest = path[:len(path)-1], append([]Step{path[len(path)-1]}, rest...)
	}
	last := e.lastEntry(n)
	if e.nodes[owner].kind == tomlInline {
		return e.putInline(owner, n, entryTOML(rest, " = ", text))
	}
	at := lineEnd(e.src, e.nodes[last].end)
	at += lineBreakAt(e.src, at)
	return e.putLine(at, last, rest, text)
}

// lastEntry is the last value among the entries of a table, below dotted keys
// too.
func (e *tomlEdit) lastEntry(n int) (last int) {
	for _, k := range e.kids[n] {
		switch e.nodes[k].kind {
		case tomlScalar, tomlList, tomlInline:
		case tomlDotted:
			k = e.lastEntry(k)
		default: // it has a header
			continue
		}
		if last == 0 || e.nodes[k].start > e.nodes[last].start {
			last = k
		}
	}
	return last
}

// putInline writes an entry into the inline table n, behind those of table
// behind.
func (e *tomlEdit) putInline(n, behind int, entry string) []byte {
	if len(e.kids[n]) == 0 {
		return splice(e.src, e.nodes[n].start+1, e.nodes[n].end-1, " "+entry+" ")
	}
	at := e.nodes[e.lastEntry(behind)].end
	return splice(e.src, at, at, ", "+entry)
}

// putElement writes an element behind the last of an array.
func (e *tomlEdit) putElement(n int, value string) []byte {
	list := e.nodes[n]
	if len(e.kids[n]) == 0 {
		return splice(e.src, list.start+1, list.start+1, value)
	}
	last := e.nodes[e.kids[n][len(e.kids[n])-1]]
	comma := e.comma(last.end)
	line := lineEnd(e.src, max(last.end, comma))
	if line >= list.end { // the bracket stands on the same line
		return splice(e.src, last.end, last.end, ", "+value)
	}
	value = e.eol + lineIndent(e.src, last.start) + value
	if comma > 0 {
		return splice(e.src, line, line, value+",")
	}
	out := splice(e.src, line, line, value)
	return splice(out, last.end, last.end, ",")
}

// comma returns the end of the comma behind an element that ends at an
// offset; 0 if there is none.
func (e *tomlEdit) comma(at int) int {
	s := &tomlScan{src: e.src, pos: at}
	if s.trivia() != nil || s.peek() != ',' {
		return 0
	}
	return s.pos + 1
}

// putSection writes a new header with one entry behind all that stands below
// table n.
func (e *tomlEdit) putSection(n int, header, entry string) []byte {
	indent := ""
	at := len(e.src)
	if n > 0 {
		last := e.lastSection(n)
		indent, at = lineIndent(e.src, e.sections[last].start), e.lead(last+1)
	}
	section := indent + header + e.eol + indent + entry
	gap := e.eol
	if before := bytes.TrimPrefix(e.src[:at], []byte(bom)); len(before) == 0 || bytes.HasSuffix(before, []byte("\n\n")) || bytes.HasSuffix(before, []byte("\n\r\n")) {
		gap = ""
	}
	if at < len(e.src) {
		return splice(e.src, at, at, gap+section+e.eol+e.eol)
	}
	if at > 0 && e.src[at-1] != '\n' && string(e.src) != bom {
		return splice(e.src, at, at, e.eol+gap+section)
	}
	return splice(e.src, at, at, gap+section+e.eol)
}

// append writes a line at the end of the document.
func (e *tomlEdit) append(line string) []byte {
	if at := len(e.src); at > 0 && e.src[at-1] != '\n' && string(e.src) != bom {
		return splice(e.src, at, at, e.eol+line)
	}
	return splice(e.src, len(e.src), len(e.src), line+e.eol)
}

// lastSection returns the last section of table n and of all below it.
func (e *tomlEdit) lastSection(n int) int {
	last := e.section[n]
	for _, k := range e.kids[n] {
		if e.nodes[k].kind >= tomlTables {
			last = max(last, e.lastSection(k))
		}
	}
	return last
}

// lead returns where a section begins: at the comments that stand right above
// its header. Behind the last one it is the end of the document.
func (e *tomlEdit) lead(section int) int {
	if section == len(e.sections) {
		return len(e.src)
	}
	at := bytes.LastIndexByte(e.src[:e.sections[section].start], '\n') + 1
	for above := e.sections[section-1].end; at > above; {
		line := max(above, bytes.LastIndexByte(e.src[:at-1], '\n')+1)
		if e.src[skipBlanks(e.src, line, at)] != '#' {
			break
		}
		at = line
	}
	if at == 0 && bytes.HasPrefix(e.src, []byte(bom)) {
		return len(bom)
	}
	return at
}

// entryTOML writes key = value: the keys in front of the first list step are
// one dotted key.
func entryTOML(path []Step, equals, text string) string {
	keys := 0
	for keys < len(path) && path[keys].Kind != List {
		keys++
	}
	return headerTOML(path[:keys]) + equals + flowTOML(path[keys:], text)
}

// flowTOML writes a value, in the arrays and inline tables that path calls
// for.
func flowTOML(path []Step, text string) string {
	switch {
	case len(path) == 0:
		return basicTOML(text)
	case path[0].Kind == List:
		return "[" + flowTOML(path[1:], text) + "]"
	}
	return "{ " + entryTOML(path, " = ", text) + " }"
}

// headerTOML writes the keys of a path joined by dots. Positions are left
// out, as in headers.
func headerTOML(path []Step, more ...Step) string {
	var b strings.Builder
	for _, step := range slices.Concat(path, more) {
		if step.Kind == List {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(TOMLKey(step.Key))
	}
	return b.String()
}

// TOMLKey returns a key as it stands in a document: bare if it can be.
func TOMLKey(key string) string {
	if key != "" && strings.IndexFunc(key, func(r rune) bool { return r > 0x7f || !bareKeyByte(byte(r)) }) < 0 {
		return key
	}
	return basicTOML(key)
}
