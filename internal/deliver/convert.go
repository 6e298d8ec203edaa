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
		"dotenv": {decodeDotenv, encodeDotenv, "#"},
	}[format]
	return n, ok
}

// Convertible are the formats that Convert knows.
var Convertible = []string{"yaml", "json", "dotenv"}

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
	src      []byte
	spans    []span.Span
	at, line int // an offset and its line, counted so far
	losses
}

// encoder writes one; what its format cannot hold is a loss.
type encoder struct {
	out bytes.Buffer
	losses
}

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
	e := &encoder{losses: lost} // to tell all at once
	if out.mark != "" {
		tree.place(comments)
	} else if !dropComments {
		for _, c := range comments {
			e.add(c.line, nil, "a comment, which %s cannot hold", to)
		}
	}
	out.encode(e, tree)
	if len(e.losses) > 0 {
		sort.SliceStable(e.losses, func(i, j int) bool { return e.losses[i].Line < e.losses[j].Line })
		return nil, e.losses, nil
	}
	again, others, lost, err := decode(out, to, e.out.Bytes())
	if err != nil || len(lost) > 0 || !tree.same(again) || out.mark != "" && !sameComments(comments, others) {
		return nil, nil, errors.New("what was written is not read back as the same data: nothing was written")
	}
	return e.out.Bytes(), nil, nil
}

func decode(n notation, format string, src []byte) (*node, []comment, []Loss, error) {
	spans, err := span.ByName(format).Find(src)
	if err != nil {
		return nil, nil, nil, err
	}
	d := &decoder{src: src, spans: spans}
	tree := n.decode(d)
	if tree == nil && len(d.losses) == 0 {
		return nil, nil, nil, errors.New("there is no data in it")
	}
	return tree, d.comments(format), d.losses, nil
}

// lineAt is the line of an offset, from 1. It is quick if offsets grow.
func (d *decoder) lineAt(offset int) int {
	if offset < d.at || d.line == 0 {
		d.at, d.line = 0, 1
	}
	d.line += bytes.Count(d.src[d.at:offset], []byte("\n"))
	d.at = offset
	return d.line
}

// comment is one of the source.
type comment struct {
	line   int
	inline bool // behind a value
	text   string
}

func (d *decoder) comments(format string) (list []comment) {
	for _, s := range d.spans {
		c := comment{line: d.lineAt(s.Start), text: string(d.src[s.Start:s.End])}
		if s.Kind == span.Value {
			if format != "dotenv" {
				continue
			}
			c.text = dotenvTail(d.src, s) // which the span includes
		}
		if c.text == "" {
			continue
		}
		start := bytes.LastIndexByte(d.src[:s.Start], '\n') + 1
		c.inline = s.Kind == span.Value || len(bytes.TrimLeft(d.src[start:s.Start], " \t#;\ufeff")) > 0
		list = append(list, c)
	}
	return list
}

func sameComments(a, b []comment) bool {
	texts := func(list []comment) (t []string) {
		for _, c := range list {
			t = append(t, c.text)
		}
		slices.Sort(t)
		return t
	}
	return slices.Equal(texts(a), texts(b))
}

// place gives comments to the values that they stand above or behind; the
// last ones to the root, as foot.
func (n *node) place(comments []comment) {
	var all []*node
	n.each(nil, func(n *node, _ []string) { all = append(all, n) })
	all = all[1:]
	for _, c := range comments {
		next := sort.Search(len(all), func(i int) bool { return all[i].line > c.line })
		switch {
		case c.inline && next > 0 && all[next-1].line == c.line && all[next-1].behind == "":
			all[next-1].behind = c.text
		case next < len(all):
			all[next].above = append(all[next].above, c.text)
		default:
			n.above = append(n.above, c.text)
		}
	}
}

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
