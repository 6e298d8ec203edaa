package deliver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/tailscale/hujson"
	"gopkg.in/ini.v1"
	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

// TestConvertCorpus: of every document of testdata and every format, either
// the libraries that programs load the two with have the same data, and there
// is a way back, or it is said where it would not be the same.
func TestConvertCorpus(t *testing.T) {
	done, refused := map[string]int{}, 0
	var forPython []pythonDoc
	for path, src := range corpus(t) {
		from := span.ByFile(path).Name
		for _, to := range Convertible {
			if from == to {
				continue
			}
			name := filepath.Base(path) + " to " + to
			out, lost, err := Convert(from, to, src, true)
			if err != nil || len(lost) > 0 {
				checkPlace(t, name, src, lost, err)
				refused++
				continue
			}
			done[from+" "+to]++
			want := readData(t, name, from, src)
			if got := readData(t, name, to, out); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v became %v:\n%s", name, want, got, out)
			}
			if to == "toml" || to == "ini" {
				forPython = append(forPython, pythonDoc{name, to, string(out), want})
			}
			back, lost, err := Convert(to, from, out, true)
			if err != nil || len(lost) > 0 && !onlyRounding(lost) {
				t.Errorf("%s: not back: %v %v\n%s", name, lost, err, out)
			} else if len(lost) == 0 && !reflect.DeepEqual(readData(t, name, from, back), want) {
				t.Errorf("%s: there and back, %v became\n%s", name, want, back)
			}
		}
	}
	t.Logf("%v converted, %d refused", done, refused)
	for pair, least := range map[string]int{"yaml json": 30, "json yaml": 20, "yaml toml": 30, "json toml": 12, "toml json": 50, "toml yaml": 50,
		"toml jsonc": 50, "jsonc yaml": 8, "jsonc toml": 5, "ini json": 5, "ini toml": 5, "dotenv ini": 1, "yaml ini": 5} {
		if done[pair] < least {
			t.Errorf("%s: only %d were converted", pair, done[pair])
		}
	}
	asPython(t, forPython)
}

// checkPlace: what is refused has a line, unless there is nothing in it.
func checkPlace(t *testing.T, name string, src []byte, lost []Loss, err error) {
	t.Helper()
	var at *span.Error
	if err != nil && !errors.As(err, &at) && err.Error() != "there is no data in it" {
		t.Errorf("%s: %v", name, err)
	}
	for _, l := range lost {
		if l.Line < 1 || l.Line > 1+bytes.Count(src, []byte("\n")) || l.Why == "" {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// readData is what a library reads, numbers as JSON has them.
func readData(t *testing.T, name, format string, src []byte) (v any) {
	t.Helper()
	var err error
	switch src := bytes.TrimPrefix(src, []byte("\ufeff")); format {
	case "json":
		err = json.Unmarshal(src, &v)
	case "jsonc":
		var standard []byte
		if standard, err = hujson.Standardize(append(bytes.Clone(src), '\n')); err == nil {
			err = json.Unmarshal(standard, &v)
		}
	case "yaml":
		err = yaml.Unmarshal(src, &v)
	case "toml":
		v = map[string]any{}
		err = toml.Unmarshal(src, &v)
	case "ini":
		v, err = readINI(src)
	case "dotenv":
		v, err = readDotenv(src)
	}
	if err == nil {
		var text []byte
		if text, err = json.Marshal(v); err == nil {
			v = nil
			err = json.Unmarshal(text, &v)
		}
	}
	if err != nil {
		t.Fatalf("%s: as %s: %v\n%s", name, format, err, src)
	}
	return v
}

func readINI(src []byte) (any, error) {
	f, err := ini.Load(src)
	if err != nil {
		return nil, err
	}
	root := map[string]any{}
	for _, s := range f.Sections() {
		at := root
		if s.Name() != ini.DefaultSection {
			at = map[string]any{}
			root[s.Name()] = at
		}
		for _, k := range s.Keys() {
			at[k.Name()] = k.Value()
		}
	}
	return root, nil
}

// readDotenv is ours: there is no library that they all use.
func readDotenv(src []byte) (any, error) {
	v, err := load("dotenv", src)
	if err != nil {
		return nil, err
	}
	root := map[string]any{}
	for i, name := range v.names {
		root[name] = v.items[i].text
	}
	return root, nil
}

type pythonDoc struct {
	name, format, text string
	want               any
}

const pythonLoader = `
import configparser, json, sys, tomllib
out = []
for d in json.load(sys.stdin):
    if d["Format"] == "toml":
        out.append(tomllib.loads(d["Text"]))
        continue
    p = configparser.ConfigParser()
    p.optionxform = str
    p.read_string("[top of the file]\n" + d["Text"])
    doc = {s: dict(p[s]) for s in p.sections()}
    out.append(doc.pop("top of the file") | doc)
print(json.dumps(out))
`

// asPython: tomllib and configparser, which expands variables, read the same.
func asPython(t *testing.T, docs []pythonDoc) {
	t.Helper()
	if err := exec.Command("python3", "-c", "import tomllib").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 with tomllib is needed: %v", err)
		}
		t.Skipf("SKIPPED: no python3 with tomllib: %v", err)
	}
	var in []map[string]string
	for _, d := range docs {
		in = append(in, map[string]string{"Format": d.format, "Text": d.text})
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-c", pythonLoader)
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	var got []any
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	if err != nil || len(got) != len(docs) {
		t.Fatalf("%d of %d documents: %v", len(got), len(docs), err)
	}
	for i, d := range docs {
		if fmt.Sprint(got[i]) != fmt.Sprint(d.want) || !reflect.DeepEqual(got[i], d.want) {
			t.Errorf("%s: Python has %v, not %v:\n%s", d.name, got[i], d.want, d.text)
		}
	}
	if len(docs) < 100 || !strings.Contains(fmt.Sprint(docs), "ini") {
		t.Errorf("Python read only %d documents", len(docs))
	}
}
