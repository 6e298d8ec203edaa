package span

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// TOML is TOML v1.0.0 (https://toml.io/en/v1.0.0), read strictly: what 1.1
// added is refused. A byte order mark in front is kept.
//
// The finder reads the whole grammar itself, and keeps the tree of keys that
// it needs to tell a table that is defined twice, the position of an element
// in its array of tables, and where an edit goes.
var TOML = Format{
	Name:    "toml",
	Comment: "#",
	Match: func(base string) bool {
		base = strings.ToLower(base)
		return strings.HasSuffix(base, ".toml") || base == "pipfile"
	},
	Find:   findTOML,
	Text:   textTOML,
	Quote:  quoteTOML,
	Insert: insertTOML,
	Delete: deleteTOML,
}

// tomlKind says what a node is and how it came to be, which decides who may
// add keys to it.
type tomlKind byte

const (
	tomlScalar  tomlKind = iota // a string, number, boolean, date or time
	tomlList                    // an array written as a value
	tomlInline                  // an inline table
	tomlTables                  // an array of tables; its elements are of kind tomlTable
	tomlTable                   // the root, or a table with a header of its own
	tomlImplied                 // a table that only headers of tables below it name
	tomlDotted                  // a table that dotted keys made
)

// tomlNode is a value or table.
type tomlNode struct {
	kind       tomlKind
	parent     int    // index in nodes
	key        string // in its table
	size       int    // of a list: elements so far
	last       int    // of an array of tables: its last element
	start, end int    // of a value: its source text; of a table: start is the key that names it first
	entry      int    // of a value with a key: where the first part of the key starts
}

// tomlKey is a key of one table.
type tomlKey struct {
	table int
	key   string
}

// tomlSection is a header and the entries below it. The first one is the
// root's and has no header.
type tomlSection struct {
	table int
	start int // of the header
	end   int // behind the line of its last entry, or of its header
	last  int // the node of its last entry; 0: none
}

// tomlPart is one part of a dotted key.
type tomlPart struct {
	key   string
	start int
}

// tomlScan walks over a document.
type tomlScan struct {
	src      []byte
	pos      int
	nodes    []tomlNode // as they came; nodes[0] is the root
	at       map[tomlKey]int
	sections []tomlSection
	parts    []tomlPart // of the key at hand
	path     []Step
	elem     int // the element of an outermost list that the scanner is in, as a node; 0: none
	lastElem int // the one that the last value was in
	paths    paths
	spans    []Span
}

func findTOML(src []byte) ([]Span, error) {
	s, err := scanTOML(src)
	if err != nil {
		return nil, err
	}
	return s.spans, nil
}

func scanTOML(src []byte) (*tomlScan, error) {
	if !utf8.Valid(src) {
		return nil, &Error{validPrefix(src), "not valid UTF-8", "TOML is always UTF-8"}
	}
	lines := bytes.Count(src, []byte{'\n'}) + 1
	s := &tomlScan{src: src, paths: paths{Room(len(src))}, at: make(map[tomlKey]int), nodes: make([]tomlNode, 0, lines+1), spans: make([]Span, 0, lines)}
	if bytes.HasPrefix(src, []byte(bom)) {
		s.pos = len(bom)
	}
	s.nodes = append(s.nodes, tomlNode{kind: tomlTable})
	s.sections = append(s.sections, tomlSection{start: s.pos, end: s.pos})
	for s.pos < len(src) {
		if err := s.line(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// line reads a header, an entry of the current table, or neither, and the end
// of the line.
func (s *tomlScan) line() error {
	s.blanks()
	section := &s.sections[len(s.sections)-1]
	var err error
	filled := true
	switch c := s.peek(); {
	case c == '[':
		err = s.header()
		section = &s.sections[len(s.sections)-1]
	case c == '#' || c == '\n' || c == '\r' || s.pos == len(s.src):
		filled = false
	default:
		section.last, err = s.entry(section.table)
	}
	if err == nil {
		err = s.endLine()
	}
	if filled {
		section.end = s.pos
	}
	return err
}

func (s *tomlScan) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *tomlScan) blanks() { s.pos = skipBlanks(s.src, s.pos, len(s.src)) }

// newline skips a line break, if there is one.
func (s *tomlScan) newline() bool {
	switch {
	case s.peek() == '\n':
		s.pos++
	case s.peek() == '\r' && s.pos+1 < len(s.src) && s.src[s.pos+1] == '\n':
		s.pos += 2
	default:
		return false
	}
	return true
}

func (s *tomlScan) endLine() error {
	s.blanks()
	if s.peek() == '#' {
		if err := s.comment(); err != nil {
			return err
		}
	}
	if s.pos == len(s.src) || s.newline() {
		return nil
	}
	return s.unexpected("expected the end of the line")
}

// trivia skips what may stand between the elements of an array.
func (s *tomlScan) trivia() error {
	for {
		s.blanks()
		if s.peek() == '#' {
			if err := s.comment(); err != nil {
				return err
			}
		}
		if !s.newline() {
			return nil
		}
	}
}

func (s *tomlScan) comment() error {
	start := s.pos
	for ; s.pos < len(s.src) && s.src[s.pos] != '\n'; s.pos++ {
		if c := s.src[s.pos]; control(c) {
			if c == '\r' && s.pos+1 < len(s.src) && s.src[s.pos+1] == '\n' {
				break
			}
			return errorAt(s.pos, "not valid TOML: a control character in a comment")
		}
	}
	if c := commentSpan(s.src, start, s.pos); c.Kind == Comment {
		s.spans = append(s.spans, c)
	}
	return nil
}

// control reports whether c may stand in no string and no comment as it is.
func control(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

func (s *tomlScan) unexpected(msg string) error {
	e := errorAt(s.pos, "not valid TOML: %s", msg)
	switch c := s.peek(); {
	case s.pos == len(s.src):
		e.Msg += ", but the file ends"
	case c == '\r':
		e.Hint = "a carriage return may only stand in front of a line feed"
	case c == 0:
		e.Hint = "there is a zero byte; --opaque encrypts the file as a whole"
	}
	return e
}

func (s *tomlScan) node(n tomlNode) int {
	s.nodes = append(s.nodes, n)
	id := len(s.nodes) - 1
	switch s.nodes[n.parent].kind {
	case tomlList, tomlTables:
		s.nodes[n.parent].size++
	default:
		s.at[tomlKey{n.parent, n.key}] = id
	}
	return id
}

// step goes one level down; it bounds the depth of the document and of the
// scanner's recursion.
func (s *tomlScan) step(step Step, at int) error {
	if len(s.path) == MaxDepth {
		return errorAt(at, "nested deeper than %d levels", MaxDepth)
	}
	s.path = append(s.path, step)
	return nil
}

// key reads a key into s.parts: its parts joined by dots.
func (s *tomlScan) key() error {
	s.parts = s.parts[:0]
	for {
		s.blanks()
		start := s.pos
		var key string
		switch c := s.peek(); {
		case c == '"' || c == '\'':
			end, err := lineStringTOML(s.src, start)
			if err != nil {
				return err
			}
			s.pos, key = end, unquoteTOML(s.src[start:end])
		default:
			for bareKeyByte(s.peek()) {
				s.pos++
			}
			if s.pos == start {
				return s.unexpected("expected a key")
			}
			key = string(s.src[start:s.pos])
		}
		s.parts = append(s.parts, tomlPart{key, start})
		if s.blanks(); s.peek() != '.' {
			return nil
		}
		s.pos++
	}
}

func bareKeyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// header reads [table] or [[array of tables]], and goes there.
func (s *tomlScan) header() error {
	start := s.pos
	s.pos++
	brackets := "]"
	if s.peek() == '[' {
		s.pos++
		brackets = "]]"
	}
	if err := s.key(); err != nil {
		return err
	}
	if !bytes.HasPrefix(s.src[s.pos:], []byte(brackets)) {
		return s.unexpected("expected " + brackets)
	}
	s.pos += len(brackets)
	s.path, s.elem = s.path[:0], 0
	at := 0
	for i, p := range s.parts {
		var err error
		if err = s.step(Step{Kind: "str", Key: p.key}, p.start); err != nil {
			return err
		}
		id, exists := s.at[tomlKey{at, p.key}]
		switch {
		case i < len(s.parts)-1:
			at, err = s.through(at, id, exists, p)
		case brackets == "]":
			at, err = s.define(at, id, exists, p)
		default:
			at, err = s.extend(at, id, exists, p)
		}
		if err != nil {
			return err
		}
	}
	s.sections = append(s.sections, tomlSection{table: at, start: start})
	return nil
}

// through passes a table on the way to the one that a header names.
func (s *tomlScan) through(at, id int, exists bool, p tomlPart) (int, error) {
	if !exists {
		return s.node(tomlNode{kind: tomlImplied, parent: at, key: p.key, start: p.start}), nil
	}
	switch s.nodes[id].kind {
	case tomlTables:
		return s.into(id, s.nodes[id].last, p)
	case tomlTable, tomlImplied, tomlDotted:
		return id, nil
	}
	return 0, taken(p, "has a value already, no table can be put under it")
}

// into steps into an element of an array of tables.
func (s *tomlScan) into(id, element int, p tomlPart) (int, error) {
	if s.elem == 0 {
		s.elem = element
	}
	return element, s.step(Step{Kind: List, Index: s.nodes[id].size - 1}, p.start)
}

// define makes the table that a header names.
func (s *tomlScan) define(at, id int, exists bool, p tomlPart) (int, error) {
	switch {
	case !exists:
		return s.node(tomlNode{kind: tomlTable, parent: at, key: p.key, start: p.start}), nil
	case s.nodes[id].kind == tomlImplied:
		s.nodes[id].kind = tomlTable
		return id, nil
	}
	return 0, taken(p, "is defined twice")
}

// extend puts a new element into the array of tables that a header names.
func (s *tomlScan) extend(at, id int, exists bool, p tomlPart) (int, error) {
	if !exists {
		id = s.node(tomlNode{kind: tomlTables, parent: at, key: p.key, start: p.start})
	} else if s.nodes[id].kind != tomlTables {
		return 0, taken(p, "is defined already, and is no array of tables")
	}
	s.nodes[id].last = s.node(tomlNode{kind: tomlTable, parent: id, start: p.start})
	return s.into(id, s.nodes[id].last, p)
}

func taken(p tomlPart, why string) error {
	return errorAt(p.start, "not valid TOML: the key %.100q %s", p.key, why)
}

// entry reads key = value into a table, and returns the value's node.
func (s *tomlScan) entry(table int) (int, error) {
	if err := s.key(); err != nil {
		return 0, err
	}
	if s.peek() != '=' {
		return 0, s.unexpected("expected = behind the key")
	}
	s.pos++
	s.blanks()
	depth, start := len(s.path), s.parts[0].start
	for i, p := range s.parts {
		if err := s.step(Step{Kind: "str", Key: p.key}, p.start); err != nil {
			return 0, err
		}
		id, exists := s.at[tomlKey{table, p.key}]
		switch last := i == len(s.parts)-1; {
		case !exists && last:
			table = s.node(tomlNode{parent: table, key: p.key, entry: start})
		case !exists:
			table = s.node(tomlNode{kind: tomlDotted, parent: table, key: p.key, start: p.start})
		case !last && s.nodes[id].kind == tomlDotted:
			table = id
		default:
			return 0, taken(p, "is defined twice")
		}
	}
	err := s.value(table)
	s.path = s.path[:depth]
	return table, err
}

// value reads the value of node n. Scalars and empty collections are spans.
func (s *tomlScan) value(n int) error {
	start := s.pos
	s.nodes[n].start = start
	size, err := 0, error(nil)
	comments := len(s.spans)
	switch s.peek() {
	case '"', '\'':
		s.pos, err = stringTOML(s.src, start)
	case '[':
		s.nodes[n].kind = tomlList
		size, err = s.list(n)
	case '{':
		s.nodes[n].kind = tomlInline
		size, err = s.inline(n)
	default:
		s.pos, err = bareTOML(s.src, start)
	}
	if err != nil {
		return err
	}
	s.nodes[n].end = s.pos
	if size > 0 {
		return nil
	}
	commented := len(s.spans) > comments
	s.spans = s.spans[:comments] // a comment in an empty array goes with it
	return s.add(start, commented)
}

// add notes the span of a value that ends at the cursor. Tables may stand
// apart from the array they are in: each stretch of an element counts as one.
func (s *tomlScan) add(start int, commented bool) error {
	path, ok := s.paths.copy(s.path)
	if !ok {
		return errRoom(start)
	}
	starts := s.elem != 0 && s.elem != s.lastElem
	s.lastElem = s.elem
	s.spans = append(s.spans, Span{Start: start, End: s.pos, Kind: Value, Path: path, Starts: starts, Commented: commented, Open: `"`, Close: `"`})
	return nil
}

// list reads an array and returns the number of its elements.
func (s *tomlScan) list(n int) (int, error) {
	outer := s.elem
	if err := s.step(Step{Kind: List}, s.pos); err != nil {
		return 0, err
	}
	s.pos++
	for i := 0; ; i++ {
		if err := s.trivia(); err != nil {
			return 0, err
		}
		if i > 0 && s.peek() == ',' {
			s.pos++
			if err := s.trivia(); err != nil {
				return 0, err
			}
		} else if i > 0 && s.peek() != ']' {
			return 0, s.unexpected("expected a comma or ]")
		}
		if s.peek() == ']' {
			s.pos++
			s.path, s.elem = s.path[:len(s.path)-1], outer
			return i, nil
		}
		s.path[len(s.path)-1].Index = i
		element := s.node(tomlNode{parent: n})
		if outer == 0 {
			s.elem = element
		}
		if err := s.value(element); err != nil {
			return 0, err
		}
	}
}

// inline reads an inline table and returns the number of its entries.
func (s *tomlScan) inline(n int) (int, error) {
	s.pos++
	for i := 0; ; i++ {
		s.blanks()
		switch c := s.peek(); {
		case c == '}' && s.pos < len(s.src):
			s.pos++
			return i, nil
		case c == '\n' || c == '\r' || c == '#':
			return 0, newerTOML(s.pos, "an inline table stands on one line")
		case i > 0 && c != ',':
			return 0, s.unexpected("expected a comma or }")
		case i > 0:
			s.pos++
			if s.blanks(); s.peek() == '}' {
				return 0, newerTOML(s.pos, "an inline table ends without a comma")
			} else if c := s.peek(); c == '\n' || c == '\r' || c == '#' {
				return 0, newerTOML(s.pos, "an inline table stands on one line")
			}
		}
		if _, err := s.entry(n); err != nil {
			return 0, err
		}
	}
}
