// Package deliver hands decrypted documents to programs: as variables of an
// environment, and in the notations that programs read. It sees plaintext and
// no key.
package deliver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

// value is one node of a document's data, as a program would load it: aliases
// and merge keys are resolved.
type value struct {
	kind  kind
	text  string   // of a scalar
	names []string // of a map's items
	items []*value
}

type kind int

const (
	text   kind = iota
	number      // spelled as JSON does
	boolean
	null
	list
	object
)

// maxValues bounds what aliases may blow up to.
const maxValues = 1 << 20

var (
	errTooMany = fmt.Errorf("its aliases expand to more than %d values", maxValues)
	errDepth   = fmt.Errorf("it is nested deeper than %d levels", span.MaxDepth)
)

// load reads a document's data. Errors hold no byte of a value.
func load(format string, plain []byte) (*value, error) {
	switch format {
	case "yaml":
		return loadYAML(plain)
	case "json":
		d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(plain, []byte("\ufeff"))))
		d.UseNumber()
		return loadJSON(d, 0)
	case "jsonc":
		plain, err := span.StandardJSON(plain)
		if err != nil {
			return nil, errors.New("it is not valid JSON")
		}
		return load("json", plain)
	case "dotenv":
		return loadDotenv(plain)
	case "ini":
		return loadINI(plain)
	case "toml":
		return loadTOML(plain)
	}
	return nil, fmt.Errorf("a file of format %s has no values with names", format)
}

func loadDotenv(plain []byte) (*value, error) {
	spans, err := span.Dotenv.Find(plain)
	if err != nil {
		return nil, err
	}
	v := &value{kind: object}
	at := make(map[string]int)
	for _, s := range spans {
		if s.Kind != span.Value || s.Path[0].Kind == "line" { // no assignment
			continue
		}
		t, err := span.Dotenv.Text(plain, s)
		if err != nil {
			return nil, err
		}
		name := s.Path[0].Key
		if i, again := at[name]; again { // as in every loader, the last one counts
			v.items[i] = &value{text: t}
			continue
		}
		at[name] = len(v.items)
		v.names, v.items = append(v.names, name), append(v.items, &value{text: t})
	}
	return v, nil
}

// loadINI makes a map of each section. Lines without a key are left out.
func loadINI(plain []byte) (*value, error) {
	spans, err := span.INI.Find(plain)
	if err != nil {
		return nil, err
	}
	root := &value{kind: object}
	places := map[string]map[string]int{} // of the names in a map, by the map's path
	for _, s := range spans {
		if s.Kind != span.Value || s.Path[len(s.Path)-1].Kind == "line" {
			continue
		}
		t, err := span.INI.Text(plain, s)
		if err != nil {
			return nil, err
		}
		at, path := root, ""
		for i, step := range s.Path {
			item := &value{text: t}
			if i+1 < len(s.Path) {
				item = &value{kind: object}
			}
			names := places[path]
			if names == nil {
				names = map[string]int{}
				places[path] = names
			}
			n, again := names[step.Key]
			switch {
			case !again:
				names[step.Key] = len(at.items)
				at.names, at.items = append(at.names, step.Key), append(at.items, item)
			case at.items[n].kind != item.kind:
				return nil, fmt.Errorf("%q is the name of a key and of a section", step.Key)
			case item.kind == text: // the last one counts
				at.items[n] = item
			default:
				item = at.items[n]
			}
			at, path = item, path+strconv.Quote(step.Key)
		}
	}
	return root, nil
}

func loadTOML(plain []byte) (*value, error) {
	root, err := span.LoadTOML(plain)
	if err != nil {
		return nil, err
	}
	return valueTOML(root), nil
}

var kindsTOML = map[string]kind{"string": text, "date": text, "number": number, "boolean": boolean, "list": list, "table": object}

func valueTOML(n *span.TOMLNode) *value {
	v := &value{kind: kindsTOML[n.Type], text: n.Text}
	for _, item := range n.Items {
		if v.kind == object {
			v.names = append(v.names, item.Key)
		}
		v.items = append(v.items, valueTOML(item))
	}
	return v
}

func loadJSON(d *json.Decoder, depth int) (*value, error) {
	if depth > span.MaxDepth {
		return nil, errDepth
	}
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	switch t := token.(type) {
	case string:
		if strings.ContainsRune(t, utf8.RuneError) {
			return nil, errors.New("it holds half a surrogate pair, which no program could read")
		}
		return &value{text: t}, nil
	case json.Number:
		return &value{kind: number, text: t.String()}, nil
	case bool:
		return &value{kind: boolean, text: strconv.FormatBool(t)}, nil
	case json.Delim:
		return loadItems(d, t, depth)
	}
	return &value{kind: null}, nil
}

func loadItems(d *json.Decoder, open json.Delim, depth int) (*value, error) {
	v := &value{kind: list}
	if open == '{' {
		v.kind = object
	}
	for d.More() {
		if v.kind == object {
			name, err := d.Token()
			if err != nil {
				return nil, errors.New("it is not valid JSON")
			}
			v.names = append(v.names, name.(string)) // the decoder saw to it
		}
		item, err := loadJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	_, err := d.Token()
	return v, err
}

func loadYAML(plain []byte) (*value, error) {
	d := yaml.NewDecoder(bytes.NewReader(plain))
	var root *yaml.Node
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errors.New("it is not valid YAML")
		}
		if root != nil {
			return nil, errors.New("it holds several documents")
		}
		root = &doc
	}
	if root == nil {
		return &value{kind: null}, nil
	}
	l := yamlLoader{left: maxValues}
	return l.load(root.Content[0], 0)
}

type yamlLoader struct{ left int }

func (l *yamlLoader) load(n *yaml.Node, depth int) (*value, error) {
	if l.left--; l.left < 0 {
		return nil, errTooMany
	}
	if depth > span.MaxDepth { // also where an anchor holds its own alias
		return nil, errDepth
	}
	switch n.Kind {
	case yaml.AliasNode:
		return l.load(n.Alias, depth+1)
	case yaml.SequenceNode:
		v := &value{kind: list}
		for _, item := range n.Content {
			i, err := l.load(item, depth+1)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, i)
		}
		return v, nil
	case yaml.MappingNode:
		return l.loadMap(n, depth)
	}
	return scalar(n)
}

func (l *yamlLoader) loadMap(n *yaml.Node, depth int) (*value, error) {
	v := &value{kind: object}
	has := make(map[string]bool)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, item := n.Content[i], n.Content[i+1]
		if name.Kind == yaml.AliasNode {
			name = name.Alias
		}
		if name.ShortTag() == "!!merge" {
			merged = append(merged, item)
			continue
		}
		if name.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a list or map as a key has no name", name.Line)
		}
		loaded, err := l.load(item, depth+1)
		if err != nil {
			return nil, err
		}
		has[name.Value] = true
		v.names, v.items = append(v.names, name.Value), append(v.items, loaded)
	}
	for _, m := range merged { // https://yaml.org/type/merge.html: what is there, and what came first, wins
		from, err := l.load(m, depth+1)
		if err != nil {
			return nil, err
		}
		sources := []*value{from}
		if from.kind == list {
			sources = from.items
		}
		for _, s := range sources {
			for i, name := range s.names {
				if !has[name] {
					has[name] = true
					v.names, v.items = append(v.names, name), append(v.items, s.items[i])
				}
			}
		}
	}
	return v, nil
}

func scalar(n *yaml.Node) (*value, error) {
	switch n.ShortTag() {
	case "!!null":
		return &value{kind: null}, nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return &value{kind: boolean, text: strconv.FormatBool(b)}, nil
		}
	case "!!int", "!!float":
		return &value{kind: number, text: n.Value}, nil
	case "!!binary":
		var data string
		if n.Decode(&data) != nil {
			return nil, fmt.Errorf("line %d: not valid base64 behind !!binary", n.Line)
		}
		return &value{text: data}, nil
	}
	return &value{text: n.Value}, nil
}

// jsonNumber returns a number of YAML or TOML as JSON spells it.
func jsonNumber(text string) (string, error) {
	if json.Valid([]byte(text)) {
		return text, nil
	}
	plain := strings.ReplaceAll(strings.TrimPrefix(text, "+"), "_", "")
	if json.Valid([]byte(plain)) {
		return plain, nil
	}
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.FormatInt(i, 10), nil
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return strconv.FormatUint(u, 10), nil
	}
	if f, err := strconv.ParseFloat(plain, 64); err == nil {
		if data, err := json.Marshal(f); err == nil { // not infinite, not NaN
			return string(data), nil
		}
	}
	return "", errors.New("a number that JSON cannot hold")
}
