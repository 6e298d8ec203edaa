package deliver

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

// Words and numbers that YAML 1.1 readers (PyYAML, Ruby, Helm) and 1.2 readers
// take for different types.
var ambiguousYAML = lazy(`^(?i:yes|no|on|off)$|^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$|^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?$|^0o?[0-9_]+$|^(?:=|<<)$`)

func decodeYAML(d *decoder) *node {
	docs := yaml.NewDecoder(strings.NewReader(string(d.src)))
	var doc, second yaml.Node
	if docs.Decode(&doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	if docs.Decode(&second) == nil {
		d.add(second.Line, nil, "a second document")
		return nil
	}
	return d.yaml(doc.Content[0], nil, 0)
}

func (d *decoder) yaml(n *yaml.Node, path []string, depth int) *node {
	if n.Anchor != "" {
		d.add(n.Line, path, "an anchor")
	}
	if n.Kind == yaml.AliasNode || depth > span.MaxDepth {
		d.add(n.Line, path, "an alias")
		return &node{kind: unknown, line: n.Line}
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.add(n.Line, path, "a tag")
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := &node{kind: aList, line: n.Line}
		for i, item := range n.Content {
			list.items = append(list.items, d.yaml(item, list.step(path, i), depth+1))
		}
		return list
	case yaml.MappingNode:
		m := &node{kind: aMap, line: n.Line}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			m.names = append(m.names, key.Value)
			at := m.step(path, i/2)
			switch {
			case key.ShortTag() == "!!merge":
				d.add(key.Line, at, "a merge key")
			case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
				d.add(key.Line, at, "a key that is no text")
			case key.Style == 0 && ambiguousYAML().MatchString(key.Value):
				d.add(key.Line, at, "a key that readers take for different types: it needs quotes")
			}
			item := d.yaml(n.Content[i+1], at, depth+1)
			item.line = key.Line
			m.items = append(m.items, item)
		}
		return m
	}
	return d.yamlScalar(n, path)
}

func (d *decoder) yamlScalar(n *yaml.Node, path []string) *node {
	s := &node{kind: aText, text: n.Value, line: n.Line}
	tag := n.ShortTag()
	switch {
	case tag == "!!int" || tag == "!!float":
		return d.number(n.Value, n.Line, path, commonFloat())
	case n.Style == 0 && tag != "!!timestamp" && ambiguousYAML().MatchString(n.Value):
		d.add(n.Line, path, "a word that readers take for different types: it needs quotes")
	case tag == "!!null":
		return &node{kind: aNull, line: n.Line}
	case tag == "!!bool":
		var b bool
		if n.Decode(&b) != nil {
			d.add(n.Line, path, "a boolean that cannot be read")
		}
		return &node{kind: aBoolean, text: strconv.FormatBool(b), line: n.Line}
	case tag == "!!timestamp":
		s.kind = aDate
	}
	return s
}

func encodeYAML(e *encoder, n *node) {
	if n.kind != aMap && n.kind != aList || len(n.items) == 0 {
		e.out.WriteString(e.yamlText(n, nil, "") + "\n")
	} else {
		e.yamlItems(n, nil, "")
	}
	e.comments("", n.above)
}

// yamlItems writes the items of a list or map in block style.
func (e *encoder) yamlItems(n *node, path []string, indent string) {
	for i, item := range n.items {
		at := n.step(path, i)
		e.comments(indent, item.above)
		start := "-"
		if n.kind == aMap {
			if start = e.yamlString(n.names[i], item.line, at, "") + ":"; len(start) > 1024 {
				e.add(item.line, at, "a key of more than 1024 bytes, where YAML wants another notation")
			}
		}
		if (item.kind == aMap || item.kind == aList) && len(item.items) > 0 {
			e.out.WriteString(indent + start + e.behind(item) + "\n")
			e.yamlItems(item, at, indent+"  ")
			continue
		}
		text := e.yamlText(item, at, indent+"  ")
		if strings.Contains(text, "\n") && item.behind != "" { // a block: its comment goes above
			e.comments(indent, []string{item.behind})
			item.behind = ""
		}
		e.out.WriteString(indent + start + " " + text + e.behind(item) + "\n")
	}
}

func (e *encoder) yamlText(n *node, path []string, indent string) string {
	switch n.kind {
	case aText:
		return e.yamlString(n.text, n.line, path, indent)
	case aNull:
		return "null"
	case aMap:
		return "{}"
	case aList:
		return "[]"
	case anInt:
		if v, ok := new(big.Int).SetString(n.text, 10); !ok || !v.IsInt64() && !v.IsUint64() {
			e.add(n.line, path, "an integer of more than 64 bits, which readers of YAML round")
		}
	case aFloat:
		return yamlFloat(n.text)
	case aDate:
		e.add(n.line, path, "a date, which only some readers of YAML take for one")
	}
	return n.text
}

// yamlString writes a text; with an indentation one of several lines as a
// block.
func (e *encoder) yamlString(text string, line int, path []string, indent string) string {
	style := "x"
	if indent != "" && strings.Contains(text, "\n") {
		style = "|\n" + indent + "x"
	}
	out, err := span.YAML.Quote(text, []byte(style), span.Span{End: len(style), Kind: span.Value})
	if err != nil || !utf8.ValidString(text) {
		e.add(line, path, "a text that is not valid UTF-8")
	}
	return string(out)
}

// yamlFloat spells a number of JSON so that all readers of YAML take it for
// one: with a point, and a sign in the exponent.
func yamlFloat(text string) string {
	mantissa, exponent, has := strings.Cut(strings.ToLower(text), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if !has {
		return mantissa
	}
	if exponent[0] != '-' && exponent[0] != '+' {
		exponent = "+" + exponent
	}
	return mantissa + "e" + exponent
}
