package migrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

// YAML for sops.

func (w *sopsWriter) yaml() error {
	d, err := loadYAMLDocs(w.plain)
	if err != nil {
		return err
	}
	if err := w.yamlFits(d); err != nil {
		return err
	}
	if d, err = w.makeRoom(d); err != nil {
		return err
	}
	secret, err := w.secretNodes(d)
	if err != nil {
		return err
	}
	w.choose(func(l *leaf) bool {
		if l.isComment {
			return w.Comments
		}
		via, _ := l.via.(*yaml.Node)
		return secret[l.at.(*yaml.Node)] || via != nil && secret[via]
	})
	inBraces := map[*yaml.Node]bool{} // or brackets, where a token needs quotes
	for _, n := range d.nodes {
		markBraces(n, false, inBraces)
	}
	var edits []edit
	comments := map[string][]string{} // tokens by text, in order
	written := map[*leaf]string{}     // tokens within aliases
	if err := w.encrypt(func(l *leaf, token string) error {
		switch {
		case l.via != nil:
			written[l] = token
			return nil
		case l.isComment:
			key := strings.TrimSpace(l.text)
			comments[key] = append(comments[key], token)
			return nil
		}
		sp := d.spanOf(l)
		if inBraces[l.at.(*yaml.Node)] {
			token = `"` + token + `"`
		}
		if sp.Start > 0 && w.plain[sp.Start-1] == ':' { // {"a":1}
			token = " " + token
		}
		edits = append(edits, edit{sp.Start, sp.End, token})
		return nil
	}); err != nil {
		return err
	}
	for _, sp := range d.spans {
		if sp.Kind != span.Comment || !w.Comments {
			continue
		}
		key := string(w.plain[sp.Start:sp.End])
		tokens := comments[key]
		if len(tokens) == 0 {
			e := fail(ErrUnsupported, "a comment in a place where sops would lose it")
			e.Line = lineOf(w.plain, sp.Start)
			return e
		}
		comments[key] = tokens[1:]
		edits = append(edits, edit{bytes.LastIndexByte(w.plain[:sp.Start], '#') + 1, sp.End, tokens[0]})
	}
	for n, v := range d.aliases {
		if sp := d.at[n]; sp != nil {
			edits = append(edits, edit{sp.Start, sp.End, flow(v, written)})
		}
	}
	if len(d.aliases) > 0 {
		w.notes = append(w.notes, "aliases are written out, as sops does")
	}
	return w.attachYAML(d, edits)
}

// makeRoom puts a line for the metadata at the end of each document, before
// anything else: a comment at the end then belongs to where sops will see it.
func (w *sopsWriter) makeRoom(d *yamlDocs) (*yamlDocs, error) {
	ends := documentEnds(w.plain)
	if len(ends) != len(d.nodes) {
		return nil, fail(ErrUnsupported, "its documents could not be told apart")
	}
	var lines []edit
	br := eol(w.plain)
	for i, n := range d.nodes {
		line := strings.Repeat(" ", n.Content[0].Content[0].Column-1) + metaKey + ": x" + br
		if end := ends[i]; end > 0 && w.plain[end-1] != '\n' {
			line = br + line
		}
		lines = append(lines, edit{ends[i], ends[i], line})
	}
	w.plain = apply(w.plain, lines)
	d, err := loadYAMLDocs(w.plain)
	if err != nil {
		return nil, err
	}
	for i, tree := range d.trees {
		if keyIndex(d.nodes[i].Content[0], metaKey) < 0 {
			return nil, fail(ErrUnsupported, "its documents have no place for sops's metadata")
		}
		w.docs = append(w.docs, slices.DeleteFunc(tree, func(it item) bool { return it.comment == nil && it.key == metaKey }))
	}
	return d, nil
}

// secretNodes finds the nodes that must be encrypted.
func (w *sopsWriter) secretNodes(d *yamlDocs) (map[*yaml.Node]bool, error) {
	byStart := map[int]bool{}
	n := 0
	for _, sp := range d.spans {
		if sp.Kind != span.Value || sp.Path[0].Key == metaKey {
			continue
		}
		if n < len(w.Secret) {
			byStart[sp.Start] = w.Secret[n]
			if text := w.plain[sp.Start:sp.End]; w.Secret[n] && emptyWithComment().Match(text) {
				e := fail(ErrUnsupported, "a comment in an empty list or map, which sops would leave in clear")
				e.Line = lineOf(w.plain, sp.Start)
				return nil, e
			}
		}
		n++
	}
	if n != len(w.Secret) {
		return nil, fail(ErrUnsupported, "its values could not be told apart")
	}
	secret := map[*yaml.Node]bool{}
	for node, sp := range d.at {
		secret[node] = byStart[sp.Start]
	}
	return secret, nil
}

var emptyWithComment = lazy(`(?s)^(?:!\S*\s+)?[\[{].*#`)

// flow writes what stands for an alias on one line.
func flow(v any, tokens map[*leaf]string) string {
	quote := func(s string) string {
		b, _ := json.Marshal(s) // a string
		return string(b)
	}
	var parts []string
	switch v := v.(type) {
	case branch:
		for _, it := range v {
			if it.comment != nil {
				continue
			}
			key := quote(it.key)
			if it.key == "<<" { // in quotes it would not merge
				key = "<<"
			}
			parts = append(parts, key+": "+flow(it.value, tokens))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		for _, e := range v {
			if l, ok := e.(*leaf); !ok || !l.isComment {
				parts = append(parts, flow(e, tokens))
			}
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *leaf:
		if t, ok := tokens[v]; ok {
			return `"` + t + `"`
		}
		switch x := v.value.(type) {
		case nil:
			return "null"
		case string:
			return quote(x)
		}
		return yamlText(v.value)
	}
	return ""
}

func markBraces(n *yaml.Node, in bool, marked map[*yaml.Node]bool) {
	marked[n] = in
	for _, c := range n.Content {
		markBraces(c, in || n.Style&yaml.FlowStyle != 0, marked)
	}
}

// attachYAML adds the metadata to each document.
func (w *sopsWriter) attachYAML(d *yamlDocs, edits []edit) error {
	keys, fields, err := w.metadata()
	if err != nil {
		return err
	}
	br := eol(w.plain)
	for _, n := range d.nodes {
		root := n.Content[0]
		k := keyIndex(root, metaKey)
		indent := strings.Repeat(" ", root.Content[k].Column-1)
		var b strings.Builder
		line := func(format string, args ...any) { b.WriteString(indent + fmt.Sprintf(format, args...) + br) }
		line("sops:")
		line("    age:")
		for _, k := range keys {
			line("        - enc: |")
			for l := range strings.SplitSeq(strings.TrimSuffix(k.enc, "\n"), "\n") {
				line("            %s", l)
			}
			line("          recipient: %s", k.recipient)
		}
		for _, f := range fields {
			value := f.value
			if f.name != "mac" && f.name != "version" && f.name != "unencrypted_suffix" {
				value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
			}
			line("    %s: %s", f.name, value)
		}
		start := lineStart(w.plain, root.Content[k].Line)
		edits = append(edits, edit{start, min(lineEnd(w.plain, start)+1, len(w.plain)), b.String()})
	}
	w.out = apply(w.plain, edits)
	return nil
}

// documentEnds returns where the documents of a stream end: in front of the
// next "---" or "...", or at the end.
func documentEnds(src []byte) (ends []int) {
	content := false
	for at := 0; at < len(src); {
		end := lineEnd(src, at)
		line := src[at:end]
		mark := len(line) >= 3 && (string(line[:3]) == "---" || string(line[:3]) == "...") && (len(line) == 3 || bytes.ContainsRune([]byte(" \t\r"), rune(line[3])))
		text := bytes.TrimSpace(line)
		if mark {
			if content {
				ends = append(ends, at)
			}
			content = len(bytes.TrimSpace(line[3:])) > 0 && line[0] == '-'
		} else if len(text) > 0 && text[0] != '#' && text[0] != '%' {
			content = true
		}
		at = end + 1
	}
	if content {
		ends = append(ends, len(src))
	}
	return ends
}

// yamlFits refuses what sops does not take, or does not give back.
func (w *sopsWriter) yamlFits(d *yamlDocs) error {
	var refused error
	refuse := func(n *yaml.Node, format string, args ...any) {
		if refused == nil {
			e := fail(ErrUnsupported, format, args...)
			e.Line = n.Line
			refused = e
		}
	}
	if bytes.HasPrefix(w.plain, []byte("%")) || bytes.Contains(w.plain, []byte("\n%")) {
		for at := 0; at < len(w.plain); at = lineEnd(w.plain, at) + 1 {
			if w.plain[at] == '%' {
				return fail(ErrUnsupported, "a directive of YAML (%%YAML, %%TAG), which sops does not take")
			}
		}
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode {
			return // written out, as sops does
		}
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 {
			for i := 0; i < len(n.Content); i += 2 {
				if n.Content[i].Value == metaKey && slices.Contains(d.roots(), n) {
					refuse(n.Content[i], "the key \"sops\" is reserved for sops's metadata")
				}
			}
		}
		if n.Style&yaml.TaggedStyle != 0 {
			refuse(n, "a tag (%.30s), which sops drops", n.Tag)
		}
		if n.Kind == yaml.ScalarNode {
			if why := scalarFits(n); why != "" {
				refuse(n, "%s", why)
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	for i, n := range d.nodes {
		root := n.Content[0]
		if root.Kind != yaml.MappingNode || len(root.Content) == 0 {
			refuse(n, "an empty document: sops has nothing to encrypt in it")
		} else if root.Style&yaml.FlowStyle != 0 {
			refuse(root, "a document in braces, which has no place for sops's metadata")
		}
		walk(root)
		if refused == nil && !survives(d.trees[i], !w.Comments) {
			refuse(root, "sops would write this document back with other values: because of a text of several lines that begins with blanks or a tab, or of comments in empty places")
		}
	}
	if len(d.nodes) == 0 && refused == nil {
		return fail(ErrUnsupported, "an empty document: sops has nothing to encrypt in it")
	}
	return refused
}

func (d *yamlDocs) roots() (roots []*yaml.Node) {
	for _, n := range d.nodes {
		roots = append(roots, n.Content[0])
	}
	return roots
}

var (
	yamlInt   = lazy(`^[-+]?(0x[0-9a-fA-F]+|0o[0-7]+|[0-9]+)$`)
	yamlFloat = lazy(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// scalarFits says why a scalar would not come back from sops as it is for
// readers of YAML 1.2; "" if it would.
func scalarFits(n *yaml.Node) string {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return ""
	}
	var v any
	if n.Decode(&v) != nil {
		return "a value that is not what its tag says"
	}
	switch v := v.(type) {
	case time.Time:
		if n.Value != v.Format(time.RFC3339Nano) {
			return "a date, which sops turns into a time: put it in quotes"
		}
	case int, int64, uint64, float64:
		text := strings.TrimPrefix(n.Value, "+")
		if n.Value != text {
			return "a number with a plus sign, which sops takes away: put it in quotes"
		}
		if f, ok := v.(float64); ok && (f != f || f > 1e308 || f < -1e308) {
			return "" // .nan, .inf
		}
		switch {
		case text[0] == '-' && strings.Trim(text, "-0.") == "":
			return "a number whose sign sops would drop: put it in quotes"
		case yamlInt().MatchString(text) && !strings.Contains(text, "o") && !strings.Contains(text, "x"):
			if digits := strings.TrimPrefix(text, "-"); len(digits) > 1 && digits[0] == '0' {
				return "a number with a zero in front, which readers of YAML take differently: put it in quotes"
			}
			if _, ok := v.(int); !ok {
				return "a number that sops would round: put it in quotes"
			}
		case yamlInt().MatchString(text):
			if _, ok := v.(int); !ok {
				return "a number that sops would round: put it in quotes"
			}
		case !yamlFloat().MatchString(text):
			return "a number whose spelling readers of YAML take differently: put it in quotes"
		default:
			x, ok := new(big.Rat).SetString(strings.TrimSuffix(strings.Replace(text, ".e", "e", 1), "."))
			_, after, ok2 := plaintext(v)
			y, ok3 := new(big.Rat).SetString(string(after))
			if !ok || !ok2 || !ok3 || x.Cmp(y) != 0 {
				return "a number that sops would round: put it in quotes"
			}
		}
	}
	return ""
}

// survives writes a tree as sops does when it decrypts, and reads it again.
func survives(tree branch, inline bool) bool {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(4)
	if enc.Encode(sopsNode(tree, inline)) != nil || enc.Close() != nil {
		return false
	}
	d, err := loadYAMLDocs(b.Bytes())
	return err == nil && len(d.trees) == 1 && slices.EqualFunc(flatten(nil, tree), flatten(nil, d.trees[0]), func(a, b any) bool {
		a = onlyBreaks(a)
		if f, ok := a.(float64); ok { // 1.0 becomes 1
			if i, ok := b.(int); ok {
				return f == float64(i)
			}
		}
		return sameValue(a, b)
	})
}

// onlyBreaks puts "" for a text of line breaks, which sops's library writes
// rightly, and this one does not.
func onlyBreaks(v any) any {
	if s, ok := v.(string); ok && strings.Trim(s, "\n") == "" {
		return ""
	}
	return v
}

// sopsNode is how sops writes a tree, comments too (its stores/yaml/store.go):
// it can write them so that values change.
func sopsNode(v any, inline bool) *yaml.Node {
	n := &yaml.Node{}
	switch v := v.(type) {
	case branch:
		n.Kind = yaml.MappingNode
		w := commentWriter{inline: inline}
		for _, it := range v {
			if it.comment != nil {
				w.add(it.comment)
				continue
			}
			key := &yaml.Node{}
			if key.Encode(it.key) != nil {
				return n
			}
			w.head(n, key)
			value := sopsNode(it.value, inline)
			w.line(value)
			n.Content = append(n.Content, key, value)
		}
		w.foot(n, 2)
	case list:
		n.Kind = yaml.SequenceNode
		w := commentWriter{inline: inline}
		for _, e := range v {
			if l, ok := e.(*leaf); ok && l.isComment {
				w.add(l)
				continue
			}
			value := sopsNode(e, inline)
			w.head(n, value)
			w.line(value)
			n.Content = append(n.Content, value)
		}
		w.foot(n, 1)
	case *leaf:
		if n.Encode(onlyBreaks(v.value)) != nil {
			return &yaml.Node{}
		}
	}
	return n
}

// commentWriter holds comments until what they belong to comes.
type commentWriter struct {
	inline       bool // those behind values stay there; else sops has forgotten it
	heads, lines []string
	begun        bool
}

func (w *commentWriter) add(c *leaf) {
	if c.inline && w.inline {
		w.lines = append(w.lines, "#"+c.text)
	} else {
		w.heads = append(w.heads, "#"+c.text)
	}
}

// head gives waiting comments to the collection, if this is its first entry,
// or to the entry.
func (w *commentWriter) head(collection, entry *yaml.Node) {
	to := entry
	if !w.begun {
		to, w.begun = collection, true
	}
	if len(w.heads) > 0 {
		text := strings.Join(w.heads, "\n")
		if to.HeadComment != "" {
			text += "\n" + to.HeadComment
		}
		to.HeadComment, w.heads = text, nil
	}
}

func (w *commentWriter) line(entry *yaml.Node) {
	if len(w.lines) > 0 {
		entry.LineComment, w.lines = strings.Join(w.lines, "\n"), nil
	}
}

// foot gives the comments that are left to the last entry.
func (w *commentWriter) foot(collection *yaml.Node, back int) {
	rest := strings.Join(append(w.heads, w.lines...), "\n")
	switch {
	case rest == "":
	case !w.begun:
		collection.HeadComment = rest
	default:
		collection.Content[len(collection.Content)-back].FootComment = rest
	}
}
