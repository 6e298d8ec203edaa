package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

// metaKey is the key of sops's metadata at the root of a document.
const metaKey = "sops"

// yamlDocs is a YAML stream as sops sees it, and where its values stand.
type yamlDocs struct {
	src   []byte
	nodes []*yaml.Node // the documents
	spans []span.Span
	at    map[*yaml.Node]*span.Span
	trees []branch

	aliases map[*yaml.Node]any // what stands for each alias
}

// loadYAMLDocs reads a stream. Aliases are followed, as sops does.
func loadYAMLDocs(src []byte) (d *yamlDocs, err error) {
	defer func() {
		if recover() != nil { // yaml.v3 has had bugs of this kind
			d, err = nil, fail(ErrUnsupported, "not a YAML document that can be read")
		}
	}()
	d = &yamlDocs{src: src, at: make(map[*yaml.Node]*span.Span), aliases: make(map[*yaml.Node]any)}
	if d.spans, err = span.YAML.Find(src); err != nil {
		return nil, spanError(src, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fail(ErrUnsupported, "not valid YAML")
		}
		d.nodes = append(d.nodes, &n)
	}
	if err := d.place(); err != nil {
		return nil, err
	}
	for _, n := range d.nodes {
		t := yamlTree{following: map[*yaml.Node]bool{}, aliases: d.aliases}
		b := t.comments(nil, n.HeadComment, n.LineComment)
		root := n.Content[0]
		for root.Kind == yaml.AliasNode {
			root = root.Alias
		}
		switch {
		case root.Kind == yaml.MappingNode:
			b = append(b, t.mapping(root, false)...)
		case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null":
			b = t.comments(b, root.HeadComment, root.LineComment, root.FootComment)
		default:
			t.fail(root, "sops takes only documents that are maps")
		}
		if t.err != nil {
			return nil, t.err
		}
		d.trees = append(d.trees, t.comments(b, n.FootComment))
	}
	return d, nil
}

// spanOf is where a leaf stands; nil if an alias stands there.
func (d *yamlDocs) spanOf(l *leaf) *span.Span { return d.at[l.at.(*yaml.Node)] }

func spanError(src []byte, err error) error {
	var at *span.Error
	if !errors.As(err, &at) {
		return fail(ErrUnsupported, "not a document that can be read")
	}
	e := fail(ErrUnsupported, "%s", at.Msg)
	e.Line, e.Hint = lineOf(src, at.Offset), at.Hint
	return e
}

func lineOf(src []byte, offset int) int {
	return bytes.Count(src[:min(offset, len(src))], []byte("\n")) + 1
}

// place finds the span of each node: both come in the order of the document.
func (d *yamlDocs) place() error {
	var values []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		switch {
		case n.Kind == yaml.MappingNode && len(n.Content) > 0:
			for i := 1; i < len(n.Content); i += 2 {
				walk(n.Content[i])
			}
		case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
			for _, c := range n.Content {
				walk(c)
			}
		default:
			values = append(values, n)
		}
	}
	for _, n := range d.nodes {
		if root := n.Content[0]; root.Kind != yaml.ScalarNode || root.Value != "" {
			walk(root)
		}
	}
	i := 0
	for k := range d.spans {
		s := &d.spans[k]
		if s.Kind != span.Value {
			continue
		}
		if i == len(values) || s.Decoded != "" && values[i].Kind == yaml.ScalarNode && s.Decoded != values[i].Value {
			return fail(ErrUnsupported, "a construct of YAML that cannot be placed")
		}
		d.at[values[i]] = s
		i++
	}
	if i != len(values) {
		return fail(ErrUnsupported, "a construct of YAML that cannot be placed")
	}
	return nil
}

// yamlTree turns nodes into sops's tree (its stores/yaml/store.go); above all
// it puts comments where sops puts them.
type yamlTree struct {
	following map[*yaml.Node]bool // anchors being followed
	aliases   map[*yaml.Node]any
	leaves    int
	err       error
}

// maxLeaves bounds what aliases of aliases can grow to.
const maxLeaves = 1 << 22

func (t *yamlTree) fail(n *yaml.Node, format string, args ...any) {
	if t.err == nil {
		e := fail(ErrUnsupported, format, args...)
		e.Line = n.Line
		t.err = e
	}
}

// comments appends the lines of comments as entries of a map.
func (t *yamlTree) comments(b branch, texts ...string) branch {
	for _, l := range commentLines(texts...) {
		b = append(b, item{comment: l})
	}
	return b
}

// inline marks the last n entries.
func inline(b branch, n int) branch {
	for _, it := range b[len(b)-n:] {
		it.comment.inline = true
	}
	return b
}

func commentLines(texts ...string) (leaves []*leaf) {
	for _, text := range texts {
		for line := range strings.SplitSeq(text, "\n") {
			if line != "" {
				leaves = append(leaves, &leaf{isComment: true, text: line[1:]})
			}
		}
	}
	return leaves
}

func (t *yamlTree) mapping(n *yaml.Node, commentsDone bool) branch {
	b := branch{}
	if !commentsDone {
		b = t.comments(b, n.HeadComment, n.LineComment)
	}
	for i := 0; i+1 < len(n.Content) && t.err == nil; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		b = t.comments(b, key.HeadComment, key.LineComment)
		single := value.Kind == yaml.ScalarNode || value.Kind == yaml.AliasNode
		if single {
			b = inline(t.comments(t.comments(b, value.HeadComment), value.LineComment), len(commentLines(value.LineComment)))
		}
		b = append(b, item{key: t.key(key), value: t.value(value, single)})
		if single {
			b = t.comments(b, value.FootComment)
		}
		b = t.comments(b, key.FootComment)
	}
	if !commentsDone {
		b = t.comments(b, n.FootComment)
	}
	return b
}

func (t *yamlTree) key(n *yaml.Node) string {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	var v any
	if n.Kind != yaml.ScalarNode || n.Decode(&v) != nil {
		t.fail(n, "a key that is not a string, which sops does not take")
		return ""
	}
	s, ok := v.(string)
	if !ok {
		t.fail(n, "the key %.50q is not a string, which sops does not take: put it in quotes", n.Value)
	}
	return s
}

func (t *yamlTree) value(n *yaml.Node, commentsDone bool) any {
	if t.leaves++; t.leaves > maxLeaves {
		t.fail(n, "its aliases grow too large")
	}
	if t.err != nil {
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		var l list
		add := func(texts ...string) {
			for _, c := range commentLines(texts...) {
				c.inList = true
				l = append(l, c)
			}
		}
		if !commentsDone {
			add(n.HeadComment, n.LineComment)
		}
		for _, e := range n.Content {
			add(e.HeadComment)
			add(e.LineComment)
			for _, c := range l[len(l)-len(commentLines(e.LineComment)):] {
				c.(*leaf).inline = true
			}
			v := t.value(e, true)
			if leaf, ok := v.(*leaf); ok {
				leaf.inList = true
			}
			l = append(l, v)
			add(e.FootComment)
		}
		if !commentsDone {
			add(n.FootComment)
		}
		return l
	case yaml.MappingNode:
		return t.mapping(n, commentsDone)
	case yaml.AliasNode:
		if t.following[n.Alias] {
			t.fail(n, "an alias of what it stands in")
			return nil
		}
		t.following[n.Alias] = true
		defer delete(t.following, n.Alias)
		v := t.value(n.Alias, false)
		if len(t.following) == 1 { // not within another alias
			t.aliases[n] = v
			for _, l := range append(values(nil, v), allComments(nil, v)...) {
				l.via = n
			}
		}
		return v
	}
	l := &leaf{line: n.Line, at: n}
	if n.Decode(&l.value) != nil {
		l.value = nil // as sops does
		if n.ShortTag() != "!!null" {
			t.fail(n, "a value that is not what its tag says")
		}
	}
	return l
}

// loadYAML reads an encrypted stream.
func (s *sopsFile) loadYAML() (map[string]any, error) {
	d, err := loadYAMLDocs(s.src)
	if err != nil {
		return nil, err
	}
	var meta map[string]any
	var edits []edit
	for i, tree := range d.trees {
		root := d.nodes[i].Content[0]
		if k := keyIndex(root, metaKey); k >= 0 {
			if i == 0 && root.Content[k+1].Decode(&meta) != nil {
				return nil, fail(ErrTampered, "its metadata is damaged")
			}
			cut, err := d.cut(i, root, k)
			if err != nil {
				return nil, err
			}
			edits = append(edits, cut)
		}
		s.docs = append(s.docs, slices.DeleteFunc(tree, func(it item) bool { return it.comment == nil && it.key == metaKey }))
	}
	s.plain = func() ([]byte, error) { return s.plainYAML(d, edits) }
	return meta, nil
}

func keyIndex(n *yaml.Node, key string) int {
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return i
			}
		}
	}
	return -1
}

// edit replaces src[start:end].
type edit struct {
	start, end int
	text       string
}

func apply(src []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(src))
	last := 0
	for _, e := range edits {
		if e.start < last { // within what was cut out
			continue
		}
		out = append(append(out, src[last:e.start]...), e.text...)
		last = e.end
	}
	return append(out, src[last:]...)
}

// cut takes the metadata out of a document: the lines from its key to the end
// of its last value.
func (d *yamlDocs) cut(doc int, root *yaml.Node, k int) (edit, error) {
	key := root.Content[k]
	if root.Style&yaml.FlowStyle != 0 || key.Column != root.Content[0].Column {
		e := fail(ErrUnsupported, "the metadata stands in braces")
		e.Line = key.Line
		return edit{}, e
	}
	start := lineStart(d.src, key.Line)
	end := start
	for i := range d.spans {
		if s := &d.spans[i]; s.Kind == span.Value && s.Doc == doc && s.Path[0].Key == metaKey {
			end = max(end, s.End)
		}
	}
	for end < len(d.src) && d.src[end] != '\n' {
		end++
	}
	end = min(end+1, len(d.src))
	text := ""
	if len(root.Content) == 2 {
		text = strings.Repeat(" ", key.Column-1) + "{}" + eol(d.src)
	}
	return edit{start, end, text}, nil
}

func eol(src []byte) string {
	if i := bytes.IndexByte(src, '\n'); i > 0 && src[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineStart is the offset of a line, counted from 1.
func lineStart(src []byte, line int) int {
	at := 0
	for ; line > 1 && at < len(src); line-- {
		next := bytes.IndexByte(src[at:], '\n')
		if next < 0 {
			return len(src)
		}
		at += next + 1
	}
	return at
}

// plainYAML puts the values into the place of their tokens, and reads the
// result again: it must hold the same values. Text of several lines is first
// tried as a block, as sops writes it.
func (s *sopsFile) plainYAML(d *yamlDocs, cuts []edit) ([]byte, error) {
	var want []any
	for _, t := range s.docs {
		want = flatten(want, t)
	}
	var refused error
	for _, blocks := range []bool{true, false} {
		edits, err := s.yamlEdits(d, blocks)
		if err != nil {
			return nil, err
		}
		plain := apply(d.src, append(edits, cuts...))
		got, err := loadYAMLDocs(plain)
		if err != nil {
			refused = err
			continue
		}
		var have []any
		for _, t := range got.trees {
			have = flatten(have, t)
		}
		if slices.EqualFunc(want, have, sameValue) {
			return plain, nil
		}
		if dbg {
			fmt.Printf("PLAIN\n%s\n%v\n%v\n", plain, want, have)
		}
		refused = fail(ErrUnsupported, "it cannot be written as plain YAML with the same values")
	}
	return nil, refused
}

// flatten lists the values of a tree with their paths, without comments.
func flatten(dst []any, v any) []any {
	switch v := v.(type) {
	case branch:
		dst = append(dst, "{")
		for _, it := range v {
			if it.comment == nil {
				dst = flatten(append(dst, "key", it.key), it.value)
			}
		}
		return append(dst, "}")
	case list:
		dst = append(dst, "[")
		for _, e := range v {
			if l, ok := e.(*leaf); !ok || !l.comment() {
				dst = flatten(dst, e)
			}
		}
		return append(dst, "]")
	case *leaf:
		return append(dst, "value", v.value)
	}
	return dst
}

func sameValue(a, b any) bool {
	switch x := a.(type) {
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || math.IsNaN(x) && math.IsNaN(y))
	}
	return a == b
}

func (s *sopsFile) yamlEdits(d *yamlDocs, blocks bool) (edits []edit, err error) {
	comments := map[string]string{}
	var visit func(v any, last bool) error
	visit = func(v any, last bool) error {
		switch v := v.(type) {
		case branch:
			for _, it := range v {
				if it.comment != nil {
					noteComment(comments, it.comment)
				} else if err := visit(it.value, false); err != nil {
					return err
				}
			}
		case list:
			alone := !slices.ContainsFunc(v, func(e any) bool { l, ok := e.(*leaf); return !ok || !l.comment() })
			item := -1 // the last comment that stands as an item
			for i, e := range v {
				if l, ok := e.(*leaf); alone && ok && !l.isComment {
					item = i
				}
			}
			for i, e := range v {
				if err := visit(e, i == item); err != nil {
					return err
				}
			}
		case *leaf:
			if v.isComment {
				noteComment(comments, v)
			} else if v.opened {
				e, err := d.render(v, blocks, last)
				if err != nil {
					return err
				}
				edits = append(edits, e)
			}
		}
		return nil
	}
	for _, t := range s.docs {
		if err := visit(t, false); err != nil {
			return nil, err
		}
	}
	edits = append(edits, s.commentEdits(d, comments)...)
	return append(edits, d.untagMerge()...), nil
}

// commentEdits puts comments into the place of their tokens.
func (s *sopsFile) commentEdits(d *yamlDocs, comments map[string]string) (edits []edit) {
	for i := range d.spans {
		sp := &d.spans[i]
		text := d.src[sp.Start:sp.End]
		switch {
		case sp.Kind == span.Comment:
			if plain, ok := s.openComment(comments, string(text)); ok {
				start := bytes.LastIndexByte(d.src[:sp.Start], '#') + 1
				edits = append(edits, edit{start, sp.End, plain})
			}
		case len(text) > 2 && (text[0] == '{' || text[0] == '['): // empty but for comments
			out := commentToken().ReplaceAllFunc(text, func(t []byte) []byte {
				if plain, ok := s.openComment(comments, string(t[1:])); ok {
					return []byte("#" + plain)
				}
				return t
			})
			edits = append(edits, edit{sp.Start, sp.End, string(out)})
		}
	}
	return edits
}

// noteComment keeps what a comment opens to. sops binds comments only to the
// map they stand in, and does not count them into the MAC.
func noteComment(comments map[string]string, l *leaf) {
	if text, ok := l.value.(string); ok && l.opened {
		comments[strings.TrimSpace(l.text)] = strings.ReplaceAll(text, "\n", " ")
	}
}

var commentToken = lazy(`#ENC\[AES256_GCM,[^\]\n]*,type:comment\]`)

// openComment returns what a comment opens to. One that YAML readers place
// nowhere is tried in all places: sops loses it.
func (s *sopsFile) openComment(known map[string]string, text string) (string, bool) {
	if plain, ok := known[text]; ok {
		return plain, true
	}
	t, err := parseToken(text)
	if err != nil || t.typ != "comment" {
		return "", false
	}
	for _, ad := range s.places() {
		if plain, err := t.open(s.key, ad); err == nil {
			known[text] = strings.ReplaceAll(string(plain), "\n", " ")
			return known[text], true
		}
	}
	s.lost = true
	return "", false
}

// places lists what sops binds comments to: all paths of maps and lists.
func (s *sopsFile) places() []string {
	seen := map[string]bool{}
	var all []string
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		if _, ok := v.(*leaf); ok || v == nil {
			return
		}
		if ad := additionalData(path); !seen[ad] {
			seen[ad] = true
			all = append(all, ad)
		}
		switch v := v.(type) {
		case branch:
			for _, it := range v {
				walk(it.value, append(path[:len(path):len(path)], it.key))
			}
		case list:
			for _, e := range v {
				walk(e, path)
			}
		}
	}
	for _, d := range s.docs {
		walk(d, nil)
	}
	return all
}

// untagMerge takes the tag away that sops puts before merge keys, and that
// few readers know.
func (d *yamlDocs) untagMerge() (edits []edit) {
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && c.Value == "<<" {
				at := lineStart(d.src, c.Line)
				if k := bytes.Index(d.src[at:], []byte("!!merge <<:")); k >= 0 && k == c.Column-1 {
					edits = append(edits, edit{at + k, at + k + len("!!merge "), ""})
				}
			}
			walk(c)
		}
	}
	for _, n := range d.nodes {
		walk(n)
	}
	return edits
}

// render writes a value in the place of its token. last: it is a comment, and
// the last of a list that holds nothing else.
func (d *yamlDocs) render(l *leaf, blocks, last bool) (edit, error) {
	node := l.at.(*yaml.Node)
	sp := d.at[node]
	if sp == nil {
		return edit{}, l.fail(nil, ErrUnsupported, "an alias where sops writes a value")
	}
	e := edit{sp.Start, sp.End, ""}
	line := bytes.LastIndexByte(d.src[:sp.Start], '\n') + 1
	lead := d.src[line:sp.Start]
	indent := len(lead) - len(bytes.TrimLeft(lead, " -"))
	var err error
	switch v := l.value.(type) {
	case commentText:
		dash := bytes.LastIndexByte(lead, '-')
		if dash < 0 || len(bytes.Trim(lead[dash:], "- ")) > 0 {
			return e, l.fail(nil, ErrUnsupported, "a comment of sops within brackets")
		}
		e.start = line + dash
		e.text = "#" + strings.ReplaceAll(string(v), "\n", " ")
		if last {
			e.text += eol(d.src) + strings.Repeat(" ", dash) + "[]"
		}
		return e, nil
	case string:
		e.text, err = d.quote(v, sp, indent, blocks)
	default:
		e.text = yamlText(v)
	}
	return e, err
}

// quote writes a string plain where all readers agree that it is one, as a
// block where it has lines and there is room for them, else in quotes.
func (d *yamlDocs) quote(text string, sp *span.Span, indent int, blocks bool) (string, error) {
	style := "x"
	if rest := d.src[sp.End:lineEnd(d.src, sp.End)]; blocks && strings.Contains(text, "\n") && len(bytes.Trim(rest, " \t\r")) == 0 {
		style = "|" + eol(d.src) + strings.Repeat(" ", indent+2) + "x"
	}
	out, err := span.YAML.Quote(text, []byte(style), span.Span{End: len(style), Kind: span.Value})
	if err != nil {
		return "", spanError(nil, err)
	}
	return string(out), nil
}

func lineEnd(src []byte, at int) int {
	if i := bytes.IndexByte(src[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(src)
}

// yamlText writes a value that is no string. A float keeps its point, so that
// it stays one.
func yamlText(v any) string {
	switch v := v.(type) {
	case float64:
		switch {
		case math.IsNaN(v):
			return ".nan"
		case math.IsInf(v, 1):
			return ".inf"
		case math.IsInf(v, -1):
			return "-.inf"
		}
		return floatText(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

func floatText(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

var dbg bool
