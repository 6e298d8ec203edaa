package deliver

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leafseal/leafseal/internal/span"
)

var jsonFloat = lazy(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$`)

// jsonDecoder follows the tokens and knows where they stand.
type jsonDecoder struct {
	*decoder
	*json.Decoder
	bom int
}

func decodeJSON(d *decoder) *node { return d.json(d.src) }

func decodeJSONC(d *decoder) *node {
	standard, err := span.StandardJSON(d.src) // everything is where it was
	if err != nil {
		return nil
	}
	return d.json(standard)
}

func (d *decoder) json(src []byte) *node {
	body := bytes.TrimPrefix(src, []byte("\ufeff"))
	j := &jsonDecoder{d, json.NewDecoder(bytes.NewReader(body)), len(src) - len(body)}
	j.UseNumber()
	return j.value(nil)
}

// value reads one; the finder saw to it that the document is valid.
func (j *jsonDecoder) value(path []string) *node {
	token, err := j.Token()
	line := j.lineAt(j.bom + int(j.InputOffset()))
	switch t := token.(type) {
	case string:
		if strings.ContainsRune(t, utf8.RuneError) {
			j.add(line, path, "a text with half a surrogate pair, or a replacement character that may stand for one")
		}
		return &node{kind: aText, text: t, line: line}
	case json.Number:
		return j.number(t.String(), line, path, jsonFloat())
	case bool:
		return &node{kind: aBoolean, text: strconv.FormatBool(t), line: line}
	case json.Delim:
		return j.collection(t, line, path)
	}
	if err != nil {
		j.add(line, path, "not valid JSON")
	}
	return &node{kind: aNull, line: line}
}

func (j *jsonDecoder) collection(open json.Delim, line int, path []string) *node {
	n := &node{kind: aList, line: line}
	if open == '{' {
		n.kind = aMap
	}
	seen := map[string]bool{}
	for j.More() {
		if n.kind == aMap {
			token, _ := j.Token()
			name, _ := token.(string)
			if seen[name] {
				j.add(j.lineAt(j.bom+int(j.InputOffset())), append(path, name), "a key for the second time")
			}
			seen[name] = true
			n.names = append(n.names, name)
		} else if len(path) > span.MaxDepth {
			break
		}
		n.items = append(n.items, nil)
		n.items[len(n.items)-1] = j.value(n.step(path, len(n.items)-1))
	}
	j.Token()
	return n
}

// largestInt is the largest integer that all readers of JSON keep: many read
// numbers as IEEE 754 doubles (RFC 8259 section 6).
var largestInt = big.NewInt(1<<53 - 1)

func encodeJSON(e *encoder, n *node) {
	if n.kind != aMap && n.kind != aList && n.kind != unknown {
		e.add(n.line, nil, "%s at the root, where JSON files have a map or a list", n.kind)
		return
	}
	e.json(n, nil, "\n")
	e.out.WriteByte('\n')
}

func (e *encoder) json(n *node, path []string, eol string) {
	switch n.kind {
	case aText:
		if !utf8.ValidString(n.text) {
			e.add(n.line, path, "a text that is not valid UTF-8")
		}
		e.out.Write(appendString(nil, n.text))
	case anInt:
		if v, ok := new(big.Int).SetString(n.text, 10); !ok || v.CmpAbs(largestInt) > 0 {
			e.add(n.line, path, "an integer above 2^53, which readers of JSON round")
		}
		e.out.WriteString(n.text)
	case aFloat, aBoolean:
		e.out.WriteString(n.text)
	case aNull:
		e.out.WriteString("null")
	case aMap, aList:
		e.jsonItems(n, path, eol)
	case unknown:
	default:
		e.add(n.line, path, "%s, which JSON cannot hold", n.kind)
	}
}

func (e *encoder) jsonItems(n *node, path []string, eol string) {
	brackets := "[]"
	if n.kind == aMap {
		brackets = "{}"
	}
	e.out.WriteByte(brackets[0])
	if len(n.items) > 0 {
		e.out.WriteString(e.behind(n))
	}
	for i, item := range n.items {
		e.jsonComments(eol+"  ", item.above)
		e.out.WriteString(eol + "  ")
		if n.kind == aMap {
			e.out.Write(append(appendString(nil, n.names[i]), ": "...))
		}
		e.json(item, n.step(path, i), eol+"  ")
		if i+1 < len(n.items) {
			e.out.WriteByte(',')
		}
		if len(item.items) == 0 {
			e.out.WriteString(e.behind(item))
		}
	}
	var foot []string
	if len(path) == 0 {
		foot = n.above
	}
	e.jsonComments(eol+"  ", foot)
	if len(n.items)+len(foot) > 0 {
		e.out.WriteString(eol)
	}
	e.out.WriteByte(brackets[1])
}

// jsonComments writes comments behind the line that stands there.
func (e *encoder) jsonComments(eol string, texts []string) {
	for _, text := range texts {
		e.out.WriteString(eol + e.mark + " " + text)
	}
}
