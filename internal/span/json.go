package span

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// JSON is RFC 8259 with an object or an array at the root. A byte order mark
// in front is kept.
var JSON = Format{
	Name:   "json",
	Match:  func(base string) bool { return strings.HasSuffix(strings.ToLower(base), ".json") },
	Find:   findJSON,
	Text:   textJSON,
	Quote:  quoteJSON,
	Insert: insertJSON,
	Delete: deleteJSON,
	Attach: strictJSON.attach,
	Detach: strictJSON.detach,
}

// jsonKind is which JSON is meant: its scanners are made by it.
type jsonKind struct{ comments bool } // and trailing commas

var strictJSON, withComments = jsonKind{}, jsonKind{comments: true}

// scan returns a scanner in front of the document.
func (k jsonKind) scan(src []byte) *jsonScan {
	s := &jsonScan{src: src, kind: k, paths: paths{Room(len(src))}}
	if bytes.HasPrefix(src, []byte(bom)) {
		s.pos = len(bom)
	}
	s.blank()
	return s
}

const (
	bom         = "\xef\xbb\xbf"
	blockMember = "leafseal"
)

// jsonLevel is an object or array that the scanner is in.
type jsonLevel struct {
	list bool
	n    int // members or elements so far
}

// jsonScan walks over a document without recursion.
type jsonScan struct {
	src    []byte
	kind   jsonKind
	pos    int
	levels []jsonLevel
	path   []Step
	lists  int  // levels that are lists
	starts bool // an element of an outermost list began, its first value did not
	paths  paths
	spans  []Span
	err    error // in white space
	root   jsonRoot

	withBlock bool     // a member "leafseal" is a block
	block     int      // where the last such member begins; 0 if there is none
	extra     [][2]int // comments and trailing commas
}

func findJSON(src []byte) ([]Span, error) { return strictJSON.find(src) }

func (k jsonKind) find(src []byte) ([]Span, error) {
	s := k.scan(src)
	s.spans = slices.Grow(s.spans, bytes.Count(src, []byte{','})+1)
	if c := s.peek(); c != '{' && c != '[' {
		if s.pos == len(src) {
			return nil, errorAt(s.pos, "the document is empty")
		}
		if err := s.scalar(); err != nil {
			return nil, err
		}
		return nil, &Error{s.pos, "the root must be an object or an array", "a single value has no place for the leafseal block; --format text encrypts it as a whole"}
	}
	if err := s.document(); err != nil {
		return nil, err
	}
	return s.spans, nil
}

func (s *jsonScan) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *jsonScan) blank() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		case '/':
			if !s.kind.comments || !s.comment() {
				return
			}
		default:
			return
		}
	}
}

func (s *jsonScan) document() error {
	s.root = jsonRoot{list: s.peek() == '[', open: s.pos + 1, last: s.pos + 1}
	if err := s.value(); err != nil {
		return err
	}
	for len(s.levels) > 0 && s.err == nil {
		if err := s.next(); err != nil {
			return err
		}
	}
	if s.err != nil {
		return s.err
	}
	if s.blank(); s.err != nil {
		return s.err
	}
	if s.pos < len(s.src) {
		return s.unexpected("nothing may follow the document")
	}
	return nil
}

// next reads what follows a value or an opening bracket.
func (s *jsonScan) next() error {
	top := &s.levels[len(s.levels)-1]
	closer := byte('}')
	if top.list {
		closer = ']'
	}
	s.blank()
	comma := -1
	if top.n > 0 && s.peek() == ',' {
		comma = s.pos
		s.pos++
		s.blank()
	}
	if s.peek() == closer && s.pos < len(s.src) && (comma < 0 || s.kind.comments) {
		if comma >= 0 {
			s.extra = append(s.extra, [2]int{comma, comma + 1})
		}
		s.root.end = s.pos
		s.pos++
		s.leave()
		return nil
	}
	if top.n > 0 && comma < 0 {
		return s.unexpected(fmt.Sprintf("expected a comma or %q", closer))
	}
	if len(s.levels) == 1 && top.n == 0 {
		s.root.first = s.pos
	}
	if top.list {
		s.path[len(s.path)-1].Index = top.n
		s.starts = s.starts || s.lists == 1
	} else if err := s.key(); err != nil {
		return err
	}
	top.n++
	return s.value()
}

func (s *jsonScan) key() error {
	if s.peek() != '"' {
		return s.unexpected("expected a key in double quotes")
	}
	start := s.pos
	if err := s.str(); err != nil {
		return err
	}
	key := unquoteJSON(s.src[start:s.pos], true)
	if s.withBlock && key == blockMember && (len(s.levels) == 1 || len(s.levels) == 2 && s.root.list) {
		s.block = start
	} else if len(s.levels) == 1 && key == blockMember {
		return errorAt(start, "the key %q at the root is reserved for the leafseal block", blockMember)
	}
	s.path[len(s.path)-1] = Step{Kind: "str", Key: key}
	s.blank()
	if s.peek() != ':' {
		return s.unexpected("expected a colon")
	}
	s.pos++
	s.blank()
	return nil
}

// value reads a scalar or an empty collection, which are spans, or enters a
// collection.
func (s *jsonScan) value() error {
	start := s.pos
	if c := s.peek(); c == '{' || c == '[' {
		s.pos++
		n := len(s.spans)
		s.blank()
		if s.peek() == c+2 && len(s.levels) > 0 { // '{'+2 is '}', '['+2 is ']'
			s.pos++
			commented := len(s.spans) > n
			s.spans = s.spans[:n] // comments in it are part of it
			if err := s.add(start); err != nil {
				return err
			}
			s.spans[len(s.spans)-1].Commented = commented
			return nil
		}
		if len(s.levels) == MaxDepth {
			return errorAt(start, "nested deeper than %d levels", MaxDepth)
		}
		s.enter(c == '[')
		return nil
	}
	if err := s.scalar(); err != nil {
		return err
	}
	return s.add(start)
}

func (s *jsonScan) enter(list bool) {
	s.levels = append(s.levels, jsonLevel{list: list})
	s.path = append(s.path, Step{})
	if list {
		s.path[len(s.path)-1].Kind = List
		s.lists++
	}
}

func (s *jsonScan) leave() {
	if s.levels[len(s.levels)-1].list {
		if s.lists--; s.lists == 0 {
			s.starts = false
		}
	}
	s.levels = s.levels[:len(s.levels)-1]
	s.path = s.path[:len(s.path)-1]
	s.valueEnds()
}

// valueEnds notes where the root's last value ends.
func (s *jsonScan) valueEnds() {
	if len(s.levels) == 1 {
		s.root.last = s.pos
	}
}

func (s *jsonScan) add(start int) error {
	path, ok := s.paths.copy(s.path)
	if !ok {
		return errRoom(start)
	}
	s.spans = append(s.spans, Span{Start: start, End: s.pos, Kind: Value, Path: path, Starts: s.starts, Open: `"`, Close: `"`})
	s.starts = false
	s.valueEnds()
	return nil
}

func (s *jsonScan) scalar() error {
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.src[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	return s.unexpected("expected a value")
}

func (s *jsonScan) unexpected(msg string) error {
	if s.err != nil {
		return s.err
	}
	e := errorAt(s.pos, "not valid JSON: %s", msg)
	switch {
	case s.pos == len(s.src):
		e.Msg += ", but the file ends"
	case s.peek() == '/' && !s.kind.comments:
		e.Hint = "JSON has no comments; for programs that take them: --format jsonc"
	case s.peek() == '#':
		e.Hint = "JSON has no comments"
	case s.pos > 0 && (s.peek() == '}' || s.peek() == ']'):
		e.Hint = "is there a comma too many before it?"
		if !s.kind.comments {
			e.Hint += " For programs that take it: --format jsonc"
		}
	}
	return e
}

func (s *jsonScan) number() error {
	start := s.pos
	digits := func() bool {
		from := s.pos
		for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
			s.pos++
		}
		return s.pos > from
	}
	if s.peek() == '-' {
		s.pos++
	}
	ok := true
	if s.peek() == '0' {
		s.pos++
	} else {
		ok = digits()
	}
	if ok && s.peek() == '.' {
		s.pos++
		ok = digits()
	}
	if c := s.peek(); ok && (c == 'e' || c == 'E') {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		ok = digits()
	}
	if !ok {
		return errorAt(start, "not valid JSON: a number is not written as JSON wants it")
	}
	return nil
}

// str reads a string. Raw bytes that are not UTF-8 pass, as in encoding/json.
func (s *jsonScan) str() error {
	start := s.pos
	for s.pos++; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return errorAt(s.pos, "not valid JSON: a control character in a string must be escaped")
		case c == '\\':
			s.pos++
			if s.peek() == 'u' {
				if _, ok := hex4(s.src, s.pos+1); !ok {
					return errorAt(s.pos-1, "not valid JSON: \\u needs four hexadecimal digits")
				}
				s.pos += 4
			} else if s.pos == len(s.src) || !strings.ContainsRune(`"\/bfnrt`, rune(s.peek())) {
				return errorAt(s.pos-1, "not valid JSON: there is no such escape")
			}
		}
	}
	return errorAt(start, "not valid JSON: the string has no end")
}

func hex4(src []byte, at int) (r rune, ok bool) {
	if at+4 > len(src) {
		return 0, false
	}
	for _, c := range src[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unquoteJSON decodes a valid string, quotes included. With exact, half
// surrogate pairs become their own three bytes (WTF-8), so that different
// keys stay different; else U+FFFD, as programs see them.
func unquoteJSON(q []byte, exact bool) string {
	q = q[1 : len(q)-1]
	if bytes.IndexByte(q, '\\') < 0 {
		return string(q)
	}
	out := make([]byte, 0, len(q))
	for i := 0; i < len(q); i++ {
		if q[i] != '\\' {
			out = append(out, q[i])
			continue
		}
		i++
		if q[i] != 'u' {
			out = append(out, "\"\\/\b\f\n\r\t"[strings.IndexByte(`"\/bfnrt`, q[i])])
			continue
		}
		r, _ := hex4(q, i+1)
		i += 4
		if 0xd800 <= r && r < 0xdc00 && i+2 < len(q) && q[i+1] == '\\' && q[i+2] == 'u' {
			if low, ok := hex4(q, i+3); ok && 0xdc00 <= low && low < 0xe000 {
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				i += 6
			}
		}
		if exact && 0xd800 <= r && r < 0xe000 {
			out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

func textJSON(src []byte, s Span) (string, error) {
	text := src[s.Start:s.End]
	switch {
	case text[0] == '"':
		return unquoteJSON(text, false), nil
	case string(text) == "null":
		return "", nil
	}
	return string(text), nil
}

func quoteJSON(text string, src []byte, s Span) ([]byte, error) {
	old := src[s.Start:s.End]
	if len(old) > 0 && strings.IndexByte(`"{[`, old[0]) < 0 { // a number, a boolean or null
		scan := &jsonScan{src: []byte(text)}
		if scan.peek() != '"' && scan.scalar() == nil && scan.pos == len(text) && text != "null" {
			return []byte(text), nil
		}
	}
	if !utf8.ValidString(text) {
		return nil, errorAt(s.Start, "the text is not valid UTF-8, which JSON cannot hold")
	}
	return appendJSON(nil, text), nil
}

// appendJSON appends text as a string with the fewest escapes.
func appendJSON(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		default:
			if short := strings.IndexByte("\b\f\n\r\t", c); short >= 0 {
				dst = append(dst, '\\', "bfnrt"[short])
			} else {
				dst = fmt.Appendf(dst, "\\u%04x", c)
			}
		}
	}
	return append(dst, '"')
}
