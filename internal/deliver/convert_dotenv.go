package deliver

import (
	"bytes"
	"strings"

	"github.com/leafseal/leafseal/internal/span"
)

func decodeDotenv(d *decoder) *node {
	n := &node{kind: aMap, line: 1}
	seen := map[string]bool{}
	for _, s := range d.spans {
		if s.Kind != span.Value {
			continue
		}
		line, name := d.lineAt(s.Start), s.Path[0].Key
		text, err := span.Dotenv.Text(d.src, s)
		switch {
		case s.Path[0].Kind == "line":
			d.add(line, nil, "a line that is no assignment")
		case err != nil:
			d.add(line, []string{name}, "a value that cannot be read")
		case seen[name]:
			d.add(line, []string{name}, "a name for the second time")
		}
		seen[name] = true
		n.names, n.items = append(n.names, name), append(n.items, &node{kind: aText, text: text, line: line})
	}
	return n
}

// dotenvTail is the comment that a value's span holds behind the value.
func dotenvTail(src []byte, s span.Span) string {
	source := string(src[s.Start:s.End])
	text, err := span.Dotenv.Text(src, s)
	if err != nil || s.Path[0].Kind == "line" || !strings.HasPrefix(source, text) {
		return ""
	}
	tail, ok := strings.CutPrefix(strings.TrimLeft(source[len(text):], " \t"), "#")
	if !ok {
		return ""
	}
	return strings.Trim(tail, " \t")
}

func encodeDotenv(e *encoder, n *node) {
	if n.kind != aMap {
		e.add(n.line, nil, "%s at the root, where a dotenv file has names and texts", n.kind)
		return
	}
	for i, item := range n.items {
		path := n.step(nil, i)
		if item.kind == unknown {
			continue
		}
		if item.kind != aText {
			e.add(item.line, path, "%s, and a dotenv file holds only texts", item.kind)
			continue
		}
		line, err := span.Dotenv.Insert(nil, 0, []span.Step{{Kind: "str", Key: n.names[i]}}, item.text)
		if err != nil {
			e.add(item.line, path, "a name or a zero byte that a dotenv file cannot hold")
			continue
		}
		e.comments("", item.around()) // behind it some readers would take it for a part of the value
		e.out.Write(append(bytes.TrimSuffix(line, []byte("\n")), '\n'))
	}
	e.comments("", n.above)
}
