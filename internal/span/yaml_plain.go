package span

import "bytes"

// plainYAML finds the spans of the YAML that most files are, sealed ones above
// all: block maps and lists, one value to a line, printable ASCII. It takes a
// fifth of the time of yaml.v3. ok is false for anything else, wrong documents
// included: then walkYAML decides. FuzzYAML holds both to the same answer.
func plainYAML(src []byte) (spans []Span, ok bool) {
	for _, c := range src {
		if (c < ' ' || c > '~') && c != '\n' {
			return nil, false
		}
	}
	p := &plainWalk{src: src, paths: paths{Room(len(src))}, spans: make([]Span, 0, bytes.Count(src, []byte{'\n'})+1)}
	p.next()
	if p.pos < len(src) && p.indent == 0 && string(p.src[p.pos:p.end]) == "---" {
		p.pos = p.end
		p.next()
	}
	if p.pos == len(src) || !p.collection(p.indent) || p.pos < len(src) {
		return nil, false
	}
	return p.spans, true
}

// maxPlainDepth bounds the recursion; deeper documents take the other way.
const maxPlainDepth = 64

// plainWalk stands at the first byte of a line's content, or at what follows
// "- " in it; or at the end of src.
type plainWalk struct {
	src    []byte
	pos    int
	indent int // column of pos
	end    int // of the line
	depth  int
	lists  int
	starts bool
	path   []Step
	paths  paths
	spans  []Span
}

// next goes from behind the last value of a line, or from the start, to the
// next line that has content, and notes the comments on the way.
func (p *plainWalk) next() {
	at := p.pos
	for line := at; at < len(p.src); {
		switch p.src[at] {
		case '\n':
			line = at + 1
			fallthrough
		case ' ':
			at++
			continue
		case '#':
			end := lineEnd(p.src, at)
			from := skipBlanks(p.src, at+1, end)
			if to := trimBlanks(p.src, from, end); from < to {
				p.spans = append(p.spans, Span{Start: from, End: to, Kind: Comment, Starts: true})
			}
			at = end
			continue
		}
		p.indent, p.end = at-line, lineEnd(p.src, at)
		break
	}
	p.pos = at
}

// collection walks over the map or list whose entries stand at column indent.
func (p *plainWalk) collection(indent int) bool {
	if p.depth++; p.depth > maxPlainDepth {
		return false
	}
	ok := false
	if p.atItem() {
		ok = p.list(indent)
	} else {
		ok = p.mapping(indent)
	}
	p.depth--
	return ok
}

func (p *plainWalk) atItem() bool {
	return p.src[p.pos] == '-' && p.pos+1 < p.end && p.src[p.pos+1] == ' '
}

func (p *plainWalk) list(indent int) bool {
	p.path = append(p.path, Step{Kind: List})
	p.lists++
	for i := 0; p.pos < len(p.src) && p.indent == indent && p.atItem(); i++ {
		p.path[len(p.path)-1].Index = i
		if p.lists == 1 {
			p.starts = true
		}
		at := p.pos + 1
		for at < p.end && p.src[at] == ' ' {
			at++
		}
		if at == p.end || p.src[at] == '#' {
			return false
		}
		p.indent += at - p.pos
		p.pos = at
		if p.atItem() || keyLength(p.src[p.pos:p.end]) > 0 {
			if !p.collection(p.indent) {
				return false
			}
		} else if !p.value(indent) {
			return false
		}
	}
	p.path = p.path[:len(p.path)-1]
	if p.lists--; p.lists == 0 {
		p.starts = false
	}
	return p.pos == len(p.src) || p.indent < indent || p.indent == indent && !p.atItem()
}

func (p *plainWalk) mapping(indent int) bool {
	var few [16]string
	keys := few[:0]
	var many map[string]bool
	for p.pos < len(p.src) && p.indent == indent {
		n := keyLength(p.src[p.pos:p.end])
		if n == 0 {
			return false
		}
		key := string(p.src[p.pos : p.pos+n])
		if many == nil && len(keys) == cap(keys) {
			many = make(map[string]bool, 2*len(keys))
			for _, k := range keys {
				many[k] = true
			}
		}
		if many != nil {
			if many[key] {
				return false
			}
			many[key] = true
		} else {
			for _, k := range keys {
				if k == key {
					return false
				}
			}
			keys = append(keys, key)
		}
		p.path = append(p.path, Step{Kind: "str", Key: key})
		p.pos += n + 1
		if !p.entry(indent) {
			return false
		}
		p.path = p.path[:len(p.path)-1]
	}
	return p.pos == len(p.src) || p.indent < indent
}

// entry walks over what follows "key:" in a map at column indent.
func (p *plainWalk) entry(indent int) bool {
	colon := p.pos
	at := skipBlanks(p.src, colon, p.end)
	if at < p.end && p.src[at] != '#' {
		p.pos = at
		return p.value(indent)
	}
	comments := len(p.spans)
	p.next()
	if p.pos < len(p.src) && (p.indent > indent || p.indent == indent && p.atItem()) {
		return p.collection(p.indent)
	}
	later := len(p.spans) - comments // comments stand behind the empty value
	if !p.add(colon, colon, "") {
		return false
	}
	empty := p.spans[comments+later]
	copy(p.spans[comments+1:], p.spans[comments:comments+later])
	p.spans[comments] = empty
	return true
}

// value walks over a scalar that ends on its line. What follows must not be
// indented deeper than indent: it would be part of the scalar.
func (p *plainWalk) value(indent int) bool {
	text := p.src[p.pos:p.end]
	n, decoded := 0, ""
	if q := text[0]; q == '"' || q == '\'' {
		n = bytes.IndexByte(text[1:], q) + 2
		if n < 2 || n < len(text) && text[n] == q || q == '"' && bytes.IndexByte(text[:n], '\\') >= 0 {
			return false
		}
		decoded = string(text[1 : n-1])
	} else {
		if !plainFirst[q] && (q != '-' || len(text) < 2 || !plainFirst[text[1]]) {
			return false
		}
		n = len(text)
		if i := bytes.Index(text, []byte(" #")); i >= 0 {
			n = i
		}
		n = trimBlanks(text, 0, n)
		if plain := text[:n]; plain[n-1] == ':' || bytes.Contains(plain, []byte(": ")) {
			return false
		}
		if decoded = string(text[:n]); nullYAML(decoded) {
			decoded = ""
		}
	}
	if rest := text[n:]; len(rest) > 0 && rest[0] != ' ' {
		return false
	} else if rest = bytes.TrimLeft(rest, " "); len(rest) > 0 && rest[0] != '#' {
		return false
	}
	if !p.add(p.pos, p.pos+n, decoded) {
		return false
	}
	p.pos += n
	p.next()
	return p.pos == len(p.src) || p.indent <= indent
}

func (p *plainWalk) add(start, end int, decoded string) bool {
	path, ok := p.paths.copy(p.path)
	if !ok {
		return false
	}
	p.spans = append(p.spans, Span{Start: start, End: end, Kind: Value, Path: path, Starts: p.starts, Decoded: decoded})
	p.starts = false
	return true
}

// keyLength returns the length of a plain key that is a string, if text starts
// with one and its colon; else 0.
func keyLength(text []byte) int {
	n := 0
	for n < len(text) && (tokenByte[text[n]] || n > 0 && (text[n] == '.' || text[n] == '/')) {
		n++
	}
	if n == 0 || n > 128 || n == len(text) || text[n] != ':' || n+1 < len(text) && text[n+1] != ' ' || text[0] == '-' || text[0] >= '0' && text[0] <= '9' {
		return 0
	}
	switch key := string(text[:n]); key {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return 0
	default:
		if nullYAML(key) {
			return 0
		}
	}
	return n
}

func nullYAML(text string) bool {
	return text == "~" || text == "null" || text == "Null" || text == "NULL"
}

// plainFirst are bytes that can only start a plain scalar, in any place.
var plainFirst = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+$~") {
		is[c] = true
	}
	return is
}()
