package span

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// YAML is what gopkg.in/yaml.v3 reads, multi-document streams included.
//
// yaml.v3 gives the tree: which node comes next, in which style, with which
// text. A cursor walks over the source beside it and finds each node's end.
// Every byte between two nodes must be an indicator, white space or a comment
// that the tree calls for, and every plain scalar must read as the text that
// the tree has; otherwise the document is refused.
var YAML = Format{
	Name:    "yaml",
	Comment: "#",
	Empty:   " ",
	Match: func(base string) bool {
		base = strings.ToLower(base)
		return strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml")
	},
	Find:   findYAML,
	Text:   textYAML,
	Quote:  quoteYAML,
	Insert: insertYAML,
	Delete: deleteYAML,
}

func findYAML(src []byte) ([]Span, error) {
	if spans, ok := plainYAML(src); ok {
		return spans, nil
	}
	w, err := walkYAML(src, false)
	if err != nil {
		return nil, err
	}
	return w.spans, nil
}

// yamlWalk is the cursor.
type yamlWalk struct {
	src    []byte
	pos    int
	doc    int
	depth  int
	lists  int
	starts bool
	inKey  int  // within how many keys: nothing in a key is a value
	noted  bool // the value at hand has a comment in it
	path   []Step
	paths  paths
	spans  []Span
	docs   []*yaml.Node              // the roots
	at     map[*yaml.Node]yamlExtent // kept for edits only
}

// yamlExtent is where a node stands, without its anchor and tag.
type yamlExtent struct{ start, end int }

// misplaced is the panic with which the cursor gives up; walkYAML turns it
// into an error.
type misplaced struct{ *Error }

func (w *yamlWalk) fail(format string, args ...any) {
	panic(misplaced{errorAt(w.pos, format, args...)})
}

// lost says that source and tree do not go together.
func (w *yamlWalk) lost() {
	w.fail("a construct of YAML that leafseal cannot place")
}

func walkYAML(src []byte, keep bool) (w *yamlWalk, err error) {
	if !utf8.Valid(src) {
		return nil, &Error{validPrefix(src), "not valid UTF-8", "leafseal reads YAML in UTF-8 only"}
	}
	docs, err := parseYAML(src)
	if err != nil {
		return nil, err
	}
	w = &yamlWalk{src: src, paths: paths{Room(len(src))}, spans: make([]Span, 0, bytes.Count(src, []byte{'\n'})+1)}
	if keep {
		w.at = make(map[*yaml.Node]yamlExtent)
	}
	defer func() {
		if m, ok := recover().(misplaced); ok {
			w, err = nil, m.Error
		}
	}()
	if bytes.HasPrefix(src, []byte(bom)) {
		w.pos = len(bom)
	}
	for i, d := range docs {
		w.doc = i
		w.document(d)
	}
	w.between()
	if w.pos < len(src) {
		w.lost()
	}
	return w, nil
}

func validPrefix(src []byte) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(src)
}

// parseYAML reads all documents of a stream with yaml.v3.
func parseYAML(src []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if recover() != nil { // yaml.v3 has had bugs of this kind
			docs, err = nil, errorAt(0, "not a YAML document that leafseal's parser can read")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var d yaml.Node
		err := dec.Decode(&d)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, yamlError(src, err)
		}
		docs = append(docs, &d)
	}
}

var (
	yamlErrorLine   = lazy(`^yaml: (?:line (\d+): )?(.*)$`)
	yamlParserError = lazy(`^did not find expected (<|'-'|',' or|key$|node content)`)
)

// yamlError keeps the line and the words of yaml.v3's error, unless they are
// the document's.
func yamlError(src []byte, err error) error {
	e := &Error{Msg: "not valid YAML"}
	m := yamlErrorLine().FindStringSubmatch(err.Error())
	if m == nil {
		return e
	}
	if n, err := strconv.Atoi(m[1]); err == nil {
		if yamlParserError().MatchString(m[2]) { // whose lines yaml.v3 counts from 0
			n++
		}
		for ; n > 1 && e.Offset < len(src); n-- {
			next := bytes.IndexByte(src[e.Offset:], '\n')
			if next < 0 || e.Offset+next+1 == len(src) {
				break
			}
			e.Offset += next + 1
		}
	}
	if strings.HasPrefix(m[2], "unknown anchor") {
		m[2] = "an alias names an anchor that is not there"
	}
	e.Msg += ": " + m[2]
	if strings.Contains(m[2], "cannot start any token") && bytes.HasPrefix(bytes.TrimLeft(src[e.Offset:], " "), []byte("\t")) {
		e.Hint = "YAML is indented with spaces, not with tabs"
	}
	return e
}

func (w *yamlWalk) peek() byte {
	if w.pos < len(w.src) {
		return w.src[w.pos]
	}
	return 0
}

// lineBreakAt returns the length of the line break at i, as yaml.v3 sees it.
func lineBreakAt(src []byte, i int) int {
	if i >= len(src) {
		return 0
	}
	switch c := src[i]; {
	case c == '\r' && i+1 < len(src) && src[i+1] == '\n':
		return 2
	case c == '\n' || c == '\r':
		return 1
	case c == 0xc2 && i+1 < len(src) && src[i+1] == 0x85: // NEL
		return 2
	case c == 0xe2 && i+2 < len(src) && src[i+1] == 0x80 && src[i+2]&^1 == 0xa8: // LS, PS
		return 3
	}
	return 0
}

func (w *yamlWalk) blanks() {
	for w.peek() == ' ' || w.peek() == '\t' {
		w.pos++
	}
}

// trivia skips white space, line breaks and comments, and notes the comments.
func (w *yamlWalk) trivia() {
	for w.pos < len(w.src) {
		if c := w.src[w.pos]; c == ' ' || c == '\t' {
			w.pos++
		} else if n := lineBreakAt(w.src, w.pos); n > 0 {
			w.pos += n
		} else if c == '#' {
			w.comment()
		} else {
			return
		}
	}
}

func (w *yamlWalk) comment() {
	start := w.pos + 1
	if c := w.src[max(w.pos-1, 0)]; w.pos > len(bom) && c != ' ' && c != '\t' && !lineBreakBefore(w.src, w.pos) {
		w.fail("a comment needs a blank in front of its #") // yaml.v3 is lenient here
	}
	for w.pos < len(w.src) && lineBreakAt(w.src, w.pos) == 0 {
		w.pos++
	}
	from := skipBlanks(w.src, start, w.pos)
	if to := trimBlanks(w.src, from, w.pos); from < to {
		w.spans = append(w.spans, Span{Start: from, End: to, Kind: Comment, Starts: true})
	}
}

// between skips what stands around documents: directives and document marks.
// It stops behind "---".
func (w *yamlWalk) between() {
	for {
		w.trivia()
		rest := w.src[w.pos:]
		switch lineStart := w.pos == 0 || w.pos == len(bom) && bytes.HasPrefix(w.src, []byte(bom)) || lineBreakBefore(w.src, w.pos); {
		case lineStart && docMark(rest, "---"):
			w.pos += 3
			return
		case lineStart && docMark(rest, "..."):
			w.pos += 3
		case lineStart && w.peek() == '%':
			for w.pos < len(w.src) && lineBreakAt(w.src, w.pos) == 0 && !(w.peek() == '#' && (w.src[w.pos-1] == ' ' || w.src[w.pos-1] == '\t')) {
				w.pos++
			}
		default:
			return
		}
	}
}

func lineBreakBefore(src []byte, i int) bool {
	for n := 1; n <= 3 && n <= i; n++ {
		if lineBreakAt(src, i-n) == n {
			return true
		}
	}
	return false
}

func docMark(rest []byte, mark string) bool {
	return bytes.HasPrefix(rest, []byte(mark)) && (len(rest) == 3 || rest[3] == ' ' || rest[3] == '\t' || lineBreakAt(rest, 3) > 0)
}

func (w *yamlWalk) document(d *yaml.Node) {
	w.between()
	if d.Kind != yaml.DocumentNode || len(d.Content) != 1 {
		w.lost()
	}
	root := d.Content[0]
	w.docs = append(w.docs, root)
	at := w.pos
	if missing(root) && root.Anchor == "" && root.Style&yaml.TaggedStyle == 0 && w.loneTag() < 0 {
		return // an empty document has no place for a value
	}
	w.pos = at
	w.node(root)
}

// missing reports whether a node has no text at all in the source.
func missing(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0
}

// node walks over one node. The cursor stands behind the indicator in front
// of it.
func (w *yamlWalk) node(n *yaml.Node) {
	if w.depth++; w.depth > MaxDepth {
		w.fail("nested deeper than %d levels", MaxDepth)
	}
	tag := w.properties(n)
	start := w.pos
	switch {
	case missing(n):
		w.value(n, tag, start)
	case n.Kind == yaml.ScalarNode:
		w.scalar(n)
		w.value(n, tag, start)
	case n.Kind == yaml.AliasNode:
		w.expect("*" + n.Value)
		w.value(n, tag, start)
	case n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle != 0:
		w.flowList(n, tag)
	case n.Kind == yaml.SequenceNode:
		w.blockList(n)
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		w.flowMap(n, tag)
	case n.Kind == yaml.MappingNode:
		w.blockMap(n)
	default:
		w.lost()
	}
	if w.at != nil {
		w.at[n] = yamlExtent{start, w.pos}
	}
	w.depth--
}

// properties skips anchor and tag, and what stands between them and the node.
// It returns where a tag starts that belongs to the node's source text: one
// with only blanks behind it; else -1.
func (w *yamlWalk) properties(n *yaml.Node) (tag int) {
	tag = -1
	anchored, tagged := n.Kind != yaml.AliasNode && n.Anchor != "", n.Style&yaml.TaggedStyle != 0
	if missing(n) && !anchored && !tagged {
		return w.loneTag() // the node stands right here
	}
	w.trivia()
	single := n.Kind == yaml.ScalarNode || n.Style&yaml.FlowStyle != 0
	for {
		switch c := w.peek(); {
		case c == '&' && anchored:
			w.expect("&" + n.Anchor)
			anchored, tag = false, -1
		case c == '!' && (tagged || single && tag < 0):
			tag = w.pos
			w.tag()
			tagged = false
		default:
			if anchored || tagged {
				w.lost()
			}
			return tag
		}
		if missing(n) && !anchored && !tagged {
			if tag < 0 {
				tag = w.loneTag()
			}
			return tag // the node is empty: it ends with its last property
		}
		end := w.pos
		if w.blanks(); lineBreakAt(w.src, w.pos) > 0 || w.peek() == '#' {
			w.trivia()
			tag = -1
		} else if w.pos == end && w.peek() != 0 && !strings.ContainsRune(",]}", rune(w.peek())) {
			w.lost() // "!a[", "&a:b": where the property ends is a matter of taste
		}
	}
}

// loneTag skips a "!" that stands for a missing value, which yaml.v3 does not
// tell from none.
func (w *yamlWalk) loneTag() (tag int) {
	at := skipBlanks(w.src, w.pos, len(w.src))
	if at == len(w.src) || w.src[at] != '!' || at+1 < len(w.src) && w.src[at+1] != ' ' && lineBreakAt(w.src, at+1) == 0 {
		return -1
	}
	w.pos = at + 1
	return at
}

// tag skips a tag.
func (w *yamlWalk) tag() {
	if bytes.HasPrefix(w.src[w.pos:], []byte("!<")) {
		end := bytes.IndexByte(w.src[w.pos:], '>')
		if end < 0 {
			w.lost()
		}
		w.pos += end + 1
		return
	}
	for w.pos < len(w.src) && !strings.ContainsRune(" \t,[]{}", rune(w.peek())) && lineBreakAt(w.src, w.pos) == 0 {
		w.pos++
	}
}

func (w *yamlWalk) expect(text string) {
	if !bytes.HasPrefix(w.src[w.pos:], []byte(text)) {
		w.lost()
	}
	w.pos += len(text)
}

// value notes the span of a scalar, alias or empty collection that ends at
// the cursor.
func (w *yamlWalk) value(n *yaml.Node, tag, start int) {
	noted := w.noted
	w.noted = false
	if w.inKey > 0 {
		return
	}
	if tag >= 0 {
		start = tag
	}
	path, ok := w.paths.copy(w.path)
	if !ok {
		panic(misplaced{errRoom(start)})
	}
	w.spans = append(w.spans, Span{Start: start, End: w.pos, Kind: Value, Doc: w.doc, Path: path, Starts: w.starts, Commented: noted, Decoded: decodedYAML(n)})
	w.starts = false
}

// noText is the Decoded of an alias of a list or map. No YAML has these bytes.
const noText = "\xff"

func decodedYAML(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode && n.Alias.Kind != yaml.ScalarNode:
		return noText
	case n.Kind == yaml.AliasNode:
		return decodedYAML(n.Alias)
	case n.Kind == yaml.SequenceNode:
		return "[]"
	case n.Kind == yaml.MappingNode:
		return "{}"
	case n.Tag == "!!null":
		return ""
	}
	return n.Value
}

func (w *yamlWalk) blockList(n *yaml.Node) {
	w.enterList()
	for i, item := range n.Content {
		w.trivia()
		w.expect("-")
		w.element(i, item)
	}
	w.leaveList()
}

func (w *yamlWalk) flowList(n *yaml.Node, tag int) {
	start := w.pos
	w.expect("[")
	w.enterList()
	for i, item := range n.Content {
		w.comma(i)
		w.element(i, item)
	}
	w.leaveList()
	w.closeFlow(']', n, tag, start)
}

// comma skips the comma in front of entry i.
func (w *yamlWalk) comma(i int) {
	w.trivia()
	if i > 0 {
		w.expect(",")
		w.trivia()
	}
}

// closeFlow skips the end of a flow collection; an empty one is a value.
func (w *yamlWalk) closeFlow(closer byte, n *yaml.Node, tag, start int) {
	comments := len(w.spans)
	w.trivia()
	if w.peek() == ',' && len(n.Content) > 0 {
		w.pos++
		w.trivia()
	}
	w.expect(string(closer))
	if len(n.Content) == 0 {
		w.noted = len(w.spans) > comments
		w.spans = w.spans[:comments] // a comment in it goes with it
		w.value(n, tag, start)
	}
}

func (w *yamlWalk) enterList() {
	w.path = append(w.path, Step{Kind: List})
	w.lists++
}

func (w *yamlWalk) leaveList() {
	w.path = w.path[:len(w.path)-1]
	if w.lists--; w.lists == 0 {
		w.starts = false
	}
}

func (w *yamlWalk) element(i int, n *yaml.Node) {
	w.path[len(w.path)-1].Index = i
	if w.lists == 1 && w.inKey == 0 {
		w.starts = true
	}
	w.node(n)
}

func (w *yamlWalk) blockMap(n *yaml.Node) {
	seen := make(map[Step]bool, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		w.trivia()
		w.pair(n.Content[i], n.Content[i+1], seen, false)
	}
}

func (w *yamlWalk) flowMap(n *yaml.Node, tag int) {
	start := w.pos
	seen := make(map[Step]bool, len(n.Content)/2)
	// A pair in a flow list, [a: b], is a map without braces. Then a brace is
	// the key's.
	if len(n.Content) == 2 && (w.peek() != '{' || n.Line == n.Content[0].Line && n.Column == n.Content[0].Column) {
		w.pair(n.Content[0], n.Content[1], seen, true)
		return
	}
	w.expect("{")
	for i := 0; i < len(n.Content); i += 2 {
		w.comma(i)
		w.pair(n.Content[i], n.Content[i+1], seen, true)
	}
	w.closeFlow('}', n, tag, start)
}

// pair walks over a key and its value. A value without a colon is none.
func (w *yamlWalk) pair(key, value *yaml.Node, seen map[Step]bool, flow bool) {
	if w.peek() == '?' && (flow || w.blankAt(w.pos+1)) {
		w.pos++ // in flow style yaml.v3 takes any "?" for the indicator
	}
	at := w.pos
	if w.inKey++; w.inKey > maxKeys {
		w.fail("keys in keys, deeper than %d levels", maxKeys)
	}
	w.node(key)
	w.inKey--
	step := keyStep(key)
	if seen[step] {
		w.pos = at
		w.trivia()
		w.fail("the key %.100q stands twice in one map", step.Key)
	}
	seen[step] = true
	comments, end := len(w.spans), w.pos
	w.trivia()
	if w.peek() != ':' || !flow && !w.blankAt(w.pos+1) {
		if !missing(value) || value.Anchor != "" {
			w.lost()
		}
		w.pos, w.spans = end, w.spans[:comments]
		return
	}
	w.pos++
	w.path = append(w.path, step)
	from := len(w.spans)
	w.node(value)
	if key.Tag == "!!merge" {
		w.fix(from, value)
	}
	w.path = w.path[:len(w.path)-1]
}

// blankAt reports whether an indicator of block style ends at an offset.
func (w *yamlWalk) blankAt(at int) bool {
	return at == len(w.src) || w.src[at] == ' ' || w.src[at] == '\t' || lineBreakAt(w.src, at) > 0
}

// fix marks the aliases of a merge key as structure.
func (w *yamlWalk) fix(from int, value *yaml.Node) {
	for i := from; i < len(w.spans); i++ {
		if s := &w.spans[i]; s.Kind == Value && w.src[s.Start] == '*' && (value.Kind == yaml.AliasNode || value.Kind == yaml.SequenceNode && len(s.Path) == len(w.path)+1) {
			s.Fixed = true
		}
	}
}

// maxKeys bounds how deep keys stand in keys: each of them is read again with
// the key that it is in.
const maxKeys = 10

// keyStep is a key as a step of a path.
func keyStep(key *yaml.Node) Step {
	switch key.Kind {
	case yaml.ScalarNode:
		return Step{Kind: strings.TrimPrefix(key.ShortTag(), "!!"), Key: key.Value}
	case yaml.AliasNode:
		return Step{Kind: "alias", Key: key.Value}
	}
	return Step{Kind: "complex", Key: complexKey(key)}
}

// complexKey writes a key that is a list or a map, injectively.
func complexKey(n *yaml.Node) string {
	switch n.Kind {
	case yaml.AliasNode:
		return fmt.Sprintf("*%d:%s", len(n.Value), n.Value)
	case yaml.ScalarNode:
		return fmt.Sprintf("%d:%s%d:%s", len(n.ShortTag()), n.ShortTag(), len(n.Value), n.Value)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%s%d(", len(n.ShortTag()), n.ShortTag(), len(n.Content))
	for _, c := range n.Content {
		b.WriteString(complexKey(c))
	}
	return b.String() + ")"
}

// scalar skips a scalar that has text.
func (w *yamlWalk) scalar(n *yaml.Node) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		w.expect(`"`)
		for ; w.peek() != '"'; w.pos++ {
			if w.peek() == '\\' {
				w.pos++
			}
			if w.pos >= len(w.src) {
				w.lost()
			}
		}
		w.pos++
	case n.Style&yaml.SingleQuotedStyle != 0:
		w.expect("'")
		for {
			i := bytes.IndexByte(w.src[w.pos:], '\'')
			if i < 0 {
				w.lost()
			}
			if w.pos += i + 1; w.peek() != '\'' {
				return
			}
			w.pos++
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		w.block(n)
	default:
		w.plain(n.Value)
	}
}

// plain skips a plain scalar by reading its text in the source: line breaks
// with the blanks around them are folded to one space, or to one line break
// less than there are.
func (w *yamlWalk) plain(text string) {
	for text != "" {
		if c := w.peek(); c != ' ' && c != '\t' && lineBreakAt(w.src, w.pos) == 0 {
			if w.pos >= len(w.src) || c != text[0] {
				w.lost()
			}
			w.pos++
			text = text[1:]
			continue
		}
		from, breaks := w.pos, 0
		for {
			w.blanks()
			n := lineBreakAt(w.src, w.pos)
			if n == 0 {
				break
			}
			if n == 3 {
				w.fail("a Unicode line separator in a plain value")
			}
			w.pos += n
			breaks++
		}
		folded := string(w.src[from:w.pos])
		if breaks > 0 {
			folded = " "
			if breaks > 1 {
				folded = strings.Repeat("\n", breaks-1)
			}
		}
		var ok bool
		if text, ok = strings.CutPrefix(text, folded); !ok {
			w.pos = from
			w.lost()
		}
	}
}

// block skips a block scalar: its header, and all lines that are blank or
// indented as its first one; blank lines at the end only where they count.
func (w *yamlWalk) block(n *yaml.Node) {
	keep := false
	for w.pos < len(w.src) && lineBreakAt(w.src, w.pos) == 0 { // a comment in the header goes with it
		if w.peek() == '#' {
			w.noted = true
			break
		}
		keep = keep || w.peek() == '+'
		w.pos++
	}
	for w.pos < len(w.src) && lineBreakAt(w.src, w.pos) == 0 {
		w.pos++
	}
	indent := -1
	end := w.pos // behind the last line that counts
	for at := w.pos; ; {
		at += lineBreakAt(w.src, at)
		if at >= len(w.src) {
			break
		}
		stop, spaces := w.line(at)
		if spaces < 0 { // blank
			if keep || indent >= 0 && stop-at > indent {
				end = stop
			}
		} else {
			if indent < 0 {
				indent = spaces - leadingSpaces(n.Value)
				if indent < 0 || strings.Trim(n.Value, "\n") == "" {
					break // no text: this line is not its own
				}
			}
			if spaces < indent || spaces == 0 && (docMark(w.src[at:], "---") || docMark(w.src[at:], "...")) {
				break
			}
			end = stop
		}
		if stop >= len(w.src) {
			break
		}
		at = stop
	}
	w.pos = end
}

// line returns where the line at i ends, and its indentation in spaces; -1 if
// it is blank.
func (w *yamlWalk) line(i int) (end, spaces int) {
	for end = i; end < len(w.src) && lineBreakAt(w.src, end) == 0; end++ {
	}
	text := w.src[i:end]
	rest := bytes.TrimLeft(text, " ")
	if len(rest) == 0 {
		return end, -1
	}
	return end, len(text) - len(rest)
}

// leadingSpaces is the indentation of the first line of text that is not
// empty.
func leadingSpaces(text string) int {
	text = strings.TrimLeft(text, "\n")
	return len(text) - len(strings.TrimLeft(text, " "))
}
