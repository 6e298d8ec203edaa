package span

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Values read and written, and entries put in and taken out, in the style
// that stands there. Callers compare what came of it with what they meant.

func textYAML(src []byte, s Span) (string, error) {
	if s.Decoded == noText {
		return "", errorAt(s.Start, "an alias of a list or map has no text of its own")
	}
	if bytes.HasPrefix(src[s.Start:s.End], []byte("!!binary")) {
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s.Decoded), ""))
		if err != nil {
			return "", errorAt(s.Start, "not valid base64 behind !!binary")
		}
		return string(data), nil
	}
	return s.Decoded, nil
}

func quoteYAML(text string, src []byte, s Span) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, errorAt(s.Start, "the text is not valid UTF-8, which YAML cannot hold")
	}
	old := string(src[s.Start:s.End])
	tag := ""
	if strings.HasPrefix(old, "!") {
		end := strings.IndexAny(old+" ", " \t\r\n")
		tag, old = old[:end], strings.TrimLeft(old[end:], " \t")
		if strings.HasPrefix(tag, "!!") && tag != "!!str" || tag == "!" {
			tag = ""
		} else {
			tag += " "
		}
	}
	if s.Start == s.End {
		tag = " "
	}
	return append([]byte(tag), restyled(text, old, lineBreak(src))...), nil
}

// restyled writes text in the style of old where that can hold it.
func restyled(text, old, eol string) string {
	printable := isPrintable(text)
	switch {
	case old == "":
	case old[0] == '\'' && printable:
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	case old[0] == '"' || old[0] == '\'':
		return escapedYAML(text)
	case old[0] == '|' || old[0] == '>':
		if block, ok := blockYAML(text, old, eol); ok {
			return block
		}
		return escapedYAML(text)
	case plainTag(old) != "!!str" && plainTag(text) != "!!str" && plainTag(text) != "" && plainTag(text) != "!!null":
		return text // a number stays a number
	}
	return scalarYAML(text)
}

// scalarYAML writes text as a string: plain where every reader agrees that it
// is one, else in quotes.
func scalarYAML(text string) string {
	switch {
	case plainString(text):
		return text
	case isPrintable(text) && strings.ContainsAny(text, `"\`):
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return escapedYAML(text)
}

// plainTag is the tag that a plain scalar resolves to; "" if it is none.
func plainTag(text string) string {
	var n yaml.Node
	if yaml.Unmarshal([]byte(text), &n) != nil || len(n.Content) != 1 {
		return ""
	}
	if v := n.Content[0]; v.Kind == yaml.ScalarNode && v.Style == 0 && v.Value == text {
		return v.Tag
	}
	return ""
}

var plainShape = lazy(`^[\pL_/][\pL0-9_./+@%^~$=()*&!?;<> -]*(:[\pL0-9_./+@%^~$=()*&!?;<>-]+[\pL0-9_./+@%^~$=()*&!?;<> -]*)*$`)

// notString holds the words that some reader of YAML 1.1 takes for others
// than strings.
var notString = map[string]bool{"y": true, "n": true, "yes": true, "no": true, "on": true, "off": true, "true": true, "false": true, "null": true, "nan": true, "inf": true}

// plainString reports whether YAML 1.1 and 1.2 readers take text for a string
// without quotes, in block and in flow style. It rather says no.
func plainString(text string) bool {
	return plainShape().MatchString(text) && !notString[strings.ToLower(text)] && !strings.HasSuffix(text, " ") && plainTag(text) == "!!str"
}

// isPrintable reports whether text can stand in single quotes on one line.
func isPrintable(text string) bool {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func escapedYAML(text string) string {
	b := []byte{'"'}
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r < 0x100:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = fmt.Appendf(b, `\U%08x`, r)
		}
	}
	return string(append(b, '"'))
}

// blockYAML writes text as a literal with the indentation and the comment of
// the block scalar old.
func blockYAML(text, old, eol string) (string, bool) {
	header, rest, _ := strings.Cut(old, "\n")
	header = strings.TrimSuffix(header, "\r")
	comment := ""
	if i := strings.IndexAny(header, " \t"); i >= 0 {
		header, comment = header[:i], header[i:]
	}
	first := strings.TrimLeft(rest, "\r\n")
	indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
	body := strings.TrimSuffix(text, "\n")
	if indent == "" || strings.ContainsAny(header, "123456789") || body == "" || strings.HasSuffix(body, "\n") || strings.HasPrefix(body, " ") || strings.HasPrefix(body, "\n") {
		return "", false
	}
	mark := "|"
	if body == text {
		mark = "|-"
	}
	out := mark + comment
	for _, line := range strings.Split(body, "\n") {
		if !isPrintable(line) {
			return "", false
		}
		if out += eol; line != "" {
			out += indent + line
		}
	}
	return out, true
}

// yamlEdit is a tree and the places of its nodes.
type yamlEdit struct {
	*yamlWalk
	eol string
}

func editYAML(src []byte) (*yamlEdit, error) {
	w, err := walkYAML(src, true)
	if err != nil {
		return nil, err
	}
	return &yamlEdit{w, lineBreak(src)}, nil
}

func (e *yamlEdit) root(doc int) *yaml.Node {
	if doc < len(e.docs) {
		return e.docs[doc]
	}
	return nil
}

// child returns the index of the entry of n that step names: of a key in
// Content, or of an element; -1 if there is none.
func (e *yamlEdit) child(n *yaml.Node, step Step) (int, error) {
	at := e.at[n].start
	switch {
	case n.Kind == yaml.SequenceNode && step.Kind == List:
		if step.Index > len(n.Content) {
			return -1, errorAt(at, "the list has %d elements", len(n.Content))
		}
		if step.Index == len(n.Content) {
			return -1, nil
		}
		return step.Index, nil
	case n.Kind == yaml.MappingNode && step.Kind != List:
		found := -1
		for i := 0; i < len(n.Content); i += 2 {
			if k := keyStep(n.Content[i]); k.Key == step.Key && k.Kind != "complex" && k.Kind != "alias" {
				if found >= 0 {
					return -1, errorAt(at, "two keys of different types read alike: the path is ambiguous")
				}
				found = i
			}
		}
		return found, nil
	case missing(n):
		return -1, nil
	}
	return -1, errorAt(at, "the path does not fit what stands there")
}

func insertYAML(src []byte, doc int, path []Step, text string) ([]byte, error) {
	e, err := editYAML(src)
	if err != nil {
		return nil, err
	}
	n := e.root(doc)
	if n == nil || missing(n) && e.at[n] == (yamlExtent{}) {
		if doc > 0 || len(e.docs) > 1 || path[0].Kind == List {
			return nil, errorAt(len(src), "there is no such document")
		}
		return e.checked(src, e.appendLine(src, e.entry(path, text, "")))
	}
	indent := "" // of n's own entries, if it had any
	for i, step := range path {
		at, err := e.child(n, step)
		if err != nil {
			return nil, err
		}
		if n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 {
			indent = strings.Repeat(" ", n.Content[0].Column-1)
			if n.Kind == yaml.SequenceNode {
				indent = strings.Repeat(" ", n.Column-1)
			}
		}
		if at < 0 {
			out, err := e.put(src, n, path[i:], text, indent)
			if err != nil {
				return nil, err
			}
			return e.checked(src, out)
		}
		if n.Kind == yaml.MappingNode {
			at++
		}
		n = n.Content[at]
		indent += "  "
	}
	return nil, errorAt(e.at[n].start, "there is a value already")
}

// put writes a new entry into n.
func (e *yamlEdit) put(src []byte, n *yaml.Node, path []Step, text, indent string) ([]byte, error) {
	x := e.at[n]
	switch {
	case missing(n):
		at := lineEnd(src, x.end)
		return splice(src, at, at, e.eol+indent+e.entry(path, text, indent)), nil
	case n.Style&yaml.FlowStyle != 0 && len(n.Content) == 0:
		return splice(src, x.start+1, x.end-1, flowEntry(path, text)), nil
	case n.Style&yaml.FlowStyle != 0:
		at := e.at[n.Content[len(n.Content)-1]].end
		return splice(src, at, at, ", "+flowEntry(path, text)), nil
	}
	last := n.Content[len(n.Content)-1]
	end := e.at[last].end
	at := lineEnd(src, end)
	if end == len(src) || bytes.IndexByte(src[end:], '\n') < 0 {
		at = len(src)
	}
	return splice(src, at, at, e.eol+indent+e.entry(path, text, indent)), nil
}

// entry writes a new entry in block style, without the indentation of its
// first line.
func (e *yamlEdit) entry(path []Step, text, indent string) string {
	head := "-"
	if path[0].Kind != List {
		head = scalarYAML(path[0].Key) + ":"
	}
	if len(path) == 1 {
		return head + " " + scalarYAML(text)
	}
	return head + e.eol + indent + "  " + e.entry(path[1:], text, indent+"  ")
}

func flowEntry(path []Step, text string) string {
	head := ""
	if path[0].Kind != List {
		head = scalarYAML(path[0].Key) + ": "
	}
	switch {
	case len(path) == 1:
		return head + scalarYAML(text)
	case path[1].Kind == List:
		return head + "[" + flowEntry(path[1:], text) + "]"
	}
	return head + "{" + flowEntry(path[1:], text) + "}"
}

func (e *yamlEdit) appendLine(src []byte, line string) []byte {
	if len(src) > 0 && src[len(src)-1] != '\n' && len(bytes.TrimSpace(src)) > 0 {
		return splice(src, len(src), len(src), e.eol+line)
	}
	return splice(src, len(src), len(src), line+e.eol)
}

func splice(src []byte, from, to int, text string) []byte {
	out := make([]byte, 0, len(src)+len(text))
	return append(append(append(out, src[:from]...), text...), src[to:]...)
}

// checked makes sure that an edit left a document that can be read.
func (e *yamlEdit) checked(src, out []byte) ([]byte, error) {
	if _, err := findYAML(out); err != nil {
		return nil, errorAt(0, "the change does not fit the layout that is there")
	}
	return out, nil
}

func deleteYAML(src []byte, doc int, path []Step) ([]byte, error) {
	e, err := editYAML(src)
	if err != nil {
		return nil, err
	}
	n := e.root(doc)
	for i, step := range path {
		if n == nil {
			break
		}
		at, err := e.child(n, step)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			break
		}
		if i == len(path)-1 {
			out, err := e.drop(src, n, at)
			if err != nil {
				return nil, err
			}
			return e.checked(src, out)
		}
		if n.Kind == yaml.MappingNode {
			at++
		}
		n = n.Content[at]
	}
	return nil, errorAt(0, "there is no such value")
}

// drop removes the entry of n whose key or element is Content[at].
func (e *yamlEdit) drop(src []byte, n *yaml.Node, at int) ([]byte, error) {
	size, empty := 1, "[]"
	if n.Kind == yaml.MappingNode {
		size, empty = 2, "{}"
	}
	start, end := e.entryStart(src, n, at), e.at[n.Content[at+size-1]].end
	last := at+size == len(n.Content)
	switch flow := n.Style&yaml.FlowStyle != 0; {
	case len(n.Content) == size && flow:
		x := e.at[n]
		return splice(src, x.start, x.end, empty), nil
	case len(n.Content) == size:
		return splice(src, start, end, empty), nil
	case flow && at > 0:
		return splice(src, e.at[n.Content[at-1]].end, end, ""), nil
	case flow:
		return splice(src, start, e.entryStart(src, n, at+size), ""), nil
	}
	lineStart := bytes.LastIndexByte(src[:start], '\n') + 1
	if len(bytes.TrimLeft(src[lineStart:start], " ")) > 0 { // "- a: 1": the next key moves up
		if last {
			return nil, errorAt(start, "the entry shares its line with another")
		}
		return splice(src, start, e.entryStart(src, n, at+size), ""), nil
	}
	next := lineEnd(src, end)
	next += lineBreakAt(src, next)
	if next == len(src) && src[next-1] != '\n' && lineStart > 0 { // the file has no final newline
		lineStart -= len(e.eol)
	}
	return splice(src, lineStart, next, ""), nil
}

// entryStart is where an entry of n begins: its dash, or its key with what
// stands in front of it.
func (e *yamlEdit) entryStart(src []byte, n *yaml.Node, at int) int {
	start := e.at[n.Content[at]].start
	if n.Style&yaml.FlowStyle != 0 {
		return start
	}
	mark := byte('?')
	if n.Kind == yaml.SequenceNode {
		mark = '-'
	}
	line := bytes.LastIndexByte(src[:start], '\n') + 1
	for i := start - 1; i >= line; i-- {
		if src[i] == mark && (i+1 == len(src) || src[i+1] == ' ' || i+1 == start) {
			return i
		}
		if mark == '?' && src[i] == ' ' && (i == line || src[i-1] == ' ' || src[i-1] == '-') {
			break
		}
	}
	return start
}

// lazy compiles a regular expression when it is first needed: the program
// starts often, and needs few of them.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
