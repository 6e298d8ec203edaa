package deliver

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/leafseal/leafseal/internal/span"
)

// node is one value of a document that is to be written in another format:
// its type, its text, and where it stands. Of numbers and dates text is the
// spelling.
type node struct {
	kind   nodeKind
	text   string
	line   int
	names  []string // of a map's items
	items  []*node
	above  []string // comments in lines of their own
	behind string   // a comment in the same line
}

type nodeKind string

const (
	unknown  nodeKind = "" // of what is a loss already
	aText    nodeKind = "a text"
	anInt    nodeKind = "an integer"
	aFloat   nodeKind = "a floating-point number"
	aBoolean nodeKind = "a boolean"
	aNull    nodeKind = "null"
	aDate    nodeKind = "a date"
	aList    nodeKind = "a list"
	aMap     nodeKind = "a map"
)

// notation is how a format is read into nodes and written from them. A format
// that is to be converted needs these two functions and a line in notations.
type notation struct {
	decode func(*decoder) *node
	encode func(*encoder, *node)
	mark   string // starts a comment; "" if the format has none
}

func notationOf(format string) (notation, bool) {
	n, ok := map[string]notation{
		"yaml":   {decodeYAML, encodeYAML, "#"},
		"json":   {decodeJSON, encodeJSON, ""},
		"jsonc":  {decodeJSONC, encodeJSON, "//"},
		"toml":   {decodeTOML, encodeTOML, "#"},
		"ini":    {decodeINI, encodeINI, ";"},
		"dotenv": {decodeDotenv, encodeDotenv, "#"},
	}[format]
	return n, ok
}

// Convertible are the formats that Convert knows.
var Convertible = []string{"yaml", "json", "jsonc", "toml", "ini", "dotenv"}

// Loss is what would get lost, or be read otherwise, in another format. It
// never holds a byte of a value.
type Loss struct {
	Line int
	Key  string // dotted path; may be empty
	Why  string
}

// losses collects them.
type losses []Loss

func (l *losses) add(line int, path []string, format string, args ...any) {
	*l = append(*l, Loss{line, strings.Join(path, "."), fmt.Sprintf(format, args...)})
}

// decoder reads a document; what the tree cannot hold is a loss.
type decoder struct {
	src    []byte
	spans  []span.Span
	breaks []int // offsets of the line breaks
	losses
}

// encoder writes one; what its format cannot hold is a loss.
type encoder struct {
	out  bytes.Buffer
	mark string // of its comments
	losses
}

var errDiffers = errors.New("what was written is not read back as the same data: nothing was written")

// Convert writes a document in another format that holds the same data, with
// the same types and in the same order, and the same comments. If it cannot,
// it says all that stands in the way, in the order of lines, and returns no
// document. With dropComments comments do not count where the other format has
// none. The result was read again and compared.
func Convert(from, to string, plain []byte, dropComments bool) ([]byte, []Loss, error) {
	in, ok := notationOf(from)
	out, ok2 := notationOf(to)
	if !ok || !ok2 {
		return nil, nil, fmt.Errorf("there is no conversion from %s to %s", from, to)
	}
	tree, comments, lost, err := decode(in, from, plain)
	if err != nil || tree == nil {
		return nil, lost, err
	}
	e := &encoder{losses: lost, mark: out.mark} // to tell all at once
	if out.mark == "" && dropComments {
		comments = nil
	}
	for _, c := range comments {
		if out.mark == "" || !c.plain() {
			e.add(c.line, nil, "a comment, which %s cannot hold", to)
		}
	}
	tree.place(comments)
	out.encode(e, tree)
	if len(e.losses) > 0 {
		sort.SliceStable(e.losses, func(i, j int) bool { return e.losses[i].Line < e.losses[j].Line })
		return nil, e.losses, nil
	}
	again, others, lost, err := decode(out, to, e.out.Bytes())
	if err != nil || len(lost) > 0 || !tree.same(again) || out.mark != "" && !sameComments(comments, others) {
		return nil, nil, errDiffers
	}
	return e.out.Bytes(), nil, nil
}

func decode(n notation, format string, src []byte) (*node, []comment, []Loss, error) {
	spans, err := span.ByName(format).Find(src)
	if err != nil {
		return nil, nil, nil, err
	}
	d := &decoder{src: src, spans: spans, breaks: breaksIn(src)}
	tree := n.decode(d)
	if tree == nil && len(d.losses) == 0 {
		return nil, nil, nil, errors.New("there is no data in it")
	}
	return tree, d.comments(format), d.losses, nil
}

func breaksIn(src []byte) (offsets []int) {
	for i, c := range src {
		if c == '\n' {
			offsets = append(offsets, i)
		}
	}
	return offsets
}

// lineAt is the line of an offset, from 1.
func (d *decoder) lineAt(offset int) int { return 1 + sort.SearchInts(d.breaks, offset) }

// each visits a tree in the order of the document.
func (n *node) each(path []string, visit func(n *node, path []string)) {
	visit(n, path)
	for i, item := range n.items {
		item.each(n.step(path, i), visit)
	}
}

// step is the path of item i.
func (n *node) step(path []string, i int) []string {
	if n.kind == aMap {
		return append(slices.Clip(path), n.names[i])
	}
	return append(slices.Clip(path), "["+strconv.Itoa(i)+"]")
}

// same reports whether two trees hold the same data: the same types, texts,
// names and order; numbers of one value.
func (n *node) same(o *node) bool {
	if o == nil || n.kind != o.kind || len(n.items) != len(o.items) || !slices.Equal(n.names, o.names) {
		return false
	}
	switch n.kind {
	case anInt:
		a, ok1 := new(big.Int).SetString(n.text, 10)
		b, ok2 := new(big.Int).SetString(o.text, 10)
		return ok1 && ok2 && a.Cmp(b) == 0
	case aFloat:
		a, err1 := strconv.ParseFloat(n.text, 64)
		b, err2 := strconv.ParseFloat(o.text, 64)
		return err1 == nil && err2 == nil && a == b
	}
	if n.text != o.text {
		return false
	}
	for i := range n.items {
		if !n.items[i].same(o.items[i]) {
			return false
		}
	}
	return true
}

// Numbers that all readers of a format take for the same.
var (
	commonInt   = lazy(`^(?:0|-?[1-9][0-9]*)$`)
	commonFloat = lazy(`^-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?$`)
)

// number makes a node of a number that every reader takes for the same, or
// says that it is none.
func (d *decoder) number(text string, line int, path []string, float *regexp.Regexp) *node {
	n := &node{kind: aFloat, text: text, line: line}
	if commonInt().MatchString(text) {
		n.kind = anInt
		return n
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil || !float.MatchString(text) {
		d.add(line, path, "a number that readers take for different ones, or for none")
	}
	return n
}
