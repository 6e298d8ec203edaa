package deliver

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leafseal/leafseal/internal/span"
)

func decodeTOML(d *decoder) *node {
	root, err := span.LoadTOML(d.src)
	if err != nil {
		return nil
	}
	return d.toml(root, nil)
}

func (d *decoder) toml(t *span.TOMLNode, path []string) *node {
	n := &node{kind: aText, text: t.Text, line: d.lineAt(t.Start)}
	switch t.Type {
	case "number":
		return d.tomlNumber(n, path)
	case "boolean":
		n.kind = aBoolean
	case "date":
		n.kind = aDate
	case "list":
		n.kind = aList
	case "table":
		n.kind = aMap
	}
	for i, item := range t.Items {
		if n.kind == aMap {
			n.names = append(n.names, item.Key)
		}
		n.items = append(n.items, d.toml(item, n.step(path, i)))
	}
	return n
}

// tomlNumber spells a number as all formats do.
func (d *decoder) tomlNumber(n *node, path []string) *node {
	plain := strings.ReplaceAll(strings.TrimPrefix(n.text, "+"), "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil { // decimal, 0x, 0o, 0b
		n.kind, n.text = anInt, strconv.FormatInt(i, 10)
		return n
	}
	n.kind, n.text = aFloat, plain
	if strings.Contains(plain, "n") {
		d.add(n.line, path, "an infinite number, or none (nan): not all readers of other formats know them")
	}
	return n
}

// mostTOML is how long a document may get: keys are repeated in the headers and
// dotted keys below them.
const mostTOML = 64 << 20

func (e *encoder) tooLong(n *node, path []string) bool {
	if e.out.Len() > mostTOML {
		e.add(n.line, path, "a key that TOML repeats so often that the file gets too long")
		return true
	}
	return false
}

func encodeTOML(e *encoder, n *node) {
	if n.kind == aMap {
		e.tomlTable(n, nil, "")
		e.comments("", n.above)
	} else if n.kind != unknown {
		e.add(n.line, nil, "%s at the root, where a TOML file has a table", n.kind)
	}
}

// tomlTable writes the entries of a table, and then the tables below it. The
// order stays: a map in front of an entry is written with dotted keys.
func (e *encoder) tomlTable(n *node, path []string, header string) {
	entries := n.tomlEntries()
	for i, item := range n.items {
		at := n.step(path, i)
		if e.tooLong(item, at) {
			return
		}
		key := e.tomlKey(n.names[i], item.line, at)
		if i < entries {
			e.tomlEntry(item, at, key)
			continue
		}
		if header != "" {
			key = header + "." + key
		}
		e.tomlSection(item, at, key)
	}
}

// tomlEntries is the number of items that are written as entries, which is
// all up to the last one that cannot be a table with a header.
func (n *node) tomlEntries() int {
	i := len(n.items)
	for i > 0 && n.items[i-1].tomlHeader() {
		i--
	}
	return i
}

// tomlHeader reports whether a node can be written below a header. Empty maps
// are not: they are values, that can be sealed.
func (n *node) tomlHeader() bool {
	if len(n.items) == 0 || n.kind == aMap {
		return len(n.items) > 0
	}
	for _, item := range n.items {
		if item.kind != aMap || len(item.items) == 0 {
			return false
		}
	}
	return true
}

func (e *encoder) tomlSection(n *node, path []string, header string) {
	if n.kind == aList {
		n.items[0].above = append(n.around(), n.items[0].above...)
		for i, item := range n.items {
			e.tomlHead(item, "[["+header+"]]")
			e.tomlTable(item, n.step(path, i), header)
		}
		return
	}
	if n.tomlEntries() > 0 || len(n.around()) > 0 { // else the headers below it name it
		e.tomlHead(n, "["+header+"]")
	}
	e.tomlTable(n, path, header)
}

func (e *encoder) tomlHead(n *node, header string) {
	if e.out.Len() > 0 {
		e.out.WriteByte('\n')
	}
	e.comments("", n.above)
	e.out.WriteString(header + e.behind(n) + "\n")
}

// tomlEntry writes key = value, or several with dotted keys.
func (e *encoder) tomlEntry(n *node, path []string, key string) {
	if n.kind == aMap && len(n.items) > 0 {
		e.comments("", n.around())
		for i, item := range n.items {
			at := n.step(path, i)
			if e.tooLong(item, at) {
				return
			}
			e.tomlEntry(item, at, key+"."+e.tomlKey(n.names[i], item.line, at))
		}
		return
	}
	inside := n.inside()
	if n.kind == aList && (len(inside) > 0 || n.width() > 80) {
		e.comments("", n.around())
		e.tomlLines(n, path, key)
		return
	}
	e.comments("", n.above)
	e.out.WriteString(key + " = ")
	if n.kind == aText && strings.Contains(n.text, "\n") {
		e.tomlString(n.text, n.line, path, "\"\"\"\n\"\"\"")
	} else {
		e.tomlValue(n, path)
	}
	e.out.WriteString(e.behind(n) + "\n")
}

// tomlLines writes an array with a line for each element.
func (e *encoder) tomlLines(n *node, path []string, key string) {
	e.out.WriteString(key + " = [\n")
	for i, item := range n.items {
		e.comments("  ", item.above)
		e.comments("  ", item.inside())
		e.out.WriteString("  ")
		e.tomlValue(item, n.step(path, i))
		e.out.WriteString("," + e.behind(item) + "\n")
	}
	e.out.WriteString("]\n")
}

// width is about how long a value is on one line.
func (n *node) width() (sum int) {
	n.each(nil, func(n *node, _ []string) {
		sum += len(n.text) + 4
		for _, name := range n.names {
			sum += len(name)
		}
	})
	return sum
}

// tomlValue writes a value on one line.
func (e *encoder) tomlValue(n *node, path []string) {
	switch n.kind {
	case aText:
		e.tomlString(n.text, n.line, path, `""`)
	case anInt:
		if v, ok := new(big.Int).SetString(n.text, 10); !ok || !v.IsInt64() {
			e.add(n.line, path, "an integer beyond 64 bits, which TOML cannot hold")
		}
		e.out.WriteString(n.text)
	case aFloat, aBoolean:
		e.out.WriteString(n.text)
	case aList, aMap:
		e.tomlItems(n, path)
	case aDate:
		e.add(n.line, path, "a date, which only some readers of YAML take for one")
	case unknown:
	default:
		e.add(n.line, path, "%s, which TOML cannot hold", n.kind)
	}
}

func (e *encoder) tomlItems(n *node, path []string) {
	brackets := "[]"
	if n.kind == aMap {
		brackets = "{}"
	}
	e.out.WriteByte(brackets[0])
	for i, item := range n.items {
		if i > 0 {
			e.out.WriteString(", ")
		}
		at := n.step(path, i)
		if n.kind == aMap {
			e.out.WriteString(e.tomlKey(n.names[i], item.line, at) + " = ")
		}
		e.tomlValue(item, at)
	}
	e.out.WriteByte(brackets[1])
}

func (e *encoder) tomlKey(key string, line int, path []string) string {
	if !utf8.ValidString(key) {
		e.add(line, path, "a key that is not valid UTF-8")
	}
	return span.TOMLKey(key)
}

// tomlString writes a text in the quotes of style.
func (e *encoder) tomlString(text string, line int, path []string, style string) {
	out, err := span.TOML.Quote(text, []byte(style), span.Span{End: len(style), Kind: span.Value})
	if err != nil {
		e.add(line, path, "a text that is not valid UTF-8")
	}
	e.out.Write(out)
}
