package deliver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestConvert: what is converted, to the byte.
func TestConvert(t *testing.T) {
	for _, c := range []struct{ from, to, in, want string }{
		{"yaml", "json", "a: 1\nb:\n  - x\n  - y: null\nc: {}\nd: []\ne: 1.50\nf: true\ng: 'yes'\nh: |\n  two\n  lines\n",
			"{\n  \"a\": 1,\n  \"b\": [\n    \"x\",\n    {\n      \"y\": null\n    }\n  ],\n  \"c\": {},\n  \"d\": [],\n  \"e\": 1.50,\n  \"f\": true,\n  \"g\": \"yes\",\n  \"h\": \"two\\nlines\\n\"\n}\n"},
		{"json", "yaml", `{"a": 1, "yes": "0123", "l": [[1, "x"], {"k": {"m": null}}, []], "e": {}, "f": 1e3, "g": -2.5E-7, "n": "a\nb", "t": "2024-01-15", "q": "it's: \"x\" #y"}`,
			"a: 1\n\"yes\": \"0123\"\nl:\n  -\n    - 1\n    - x\n  -\n    k:\n      m: null\n  - []\ne: {}\nf: 1.0e+3\ng: -2.5e-7\n\"n\": |-\n  a\n  b\nt: \"2024-01-15\"\nq: 'it''s: \"x\" #y'\n"},
		{"json", "yaml", `[]`, "[]\n"},
		{"json", "dotenv", `{"A": "1", "B": "it's", "C": "a b"}`, "A=1\nB=\"it's\"\nC='a b'\n"},
		{"dotenv", "yaml", "# top\nA=1 # tail\nexport B='x y' # b\n\n# c\nC=\"a\\nb\" # many\n# end\n",
			"# top\nA: \"1\" # tail\nB: x y # b\n# c\n# many\nC: |-\n  a\n  b\n# end\n"},
		{"yaml", "dotenv", "# top\nA: \"1\" # tail\n# b\nB: x y\n# end\n", "# top\n# tail\nA=1\n# b\nB='x y'\n# end\n"},
		{"dotenv", "json", "A=1\nB=\"$HOME\"\n", "{\n  \"A\": \"1\",\n  \"B\": \"$HOME\"\n}\n"},
	} {
		got, lost, err := Convert(c.from, c.to, []byte(c.in), false)
		if err != nil || len(lost) > 0 || string(got) != c.want {
			t.Errorf("%s to %s: %v %v\n%q, want\n%q", c.from, c.to, lost, err, got, c.want)
		}
	}
}

// TestConvertRefused: what would be lost is named with line and key, and no
// value is in the message.
func TestConvertRefused(t *testing.T) {
	for _, c := range []struct{ from, to, in, want string }{
		{"yaml", "json", "a: 1\n# c\nb: 2 # d\n", "2  a comment, which json cannot hold|3  a comment, which json cannot hold"},
		{"yaml", "json", "a: &x 1\nb: *x\n", "1 a an anchor|2 b an alias"},
		{"yaml", "json", "a: &x {b: c}\nd:\n  <<: *x\n", "1 a an anchor|3 d.<< a merge key|3 d.<< an alias"},
		{"yaml", "json", "a: !Ref x\nb: !!binary aGk=\nc: !!str 1\n", "1 a a tag|2 b a tag|3 c a tag"},
		{"yaml", "json", "a:\n  b: 2024-01-15\n", "2 a.b a date, which JSON cannot hold"},
		{"yaml", "json", "a: [0400, 0x1F, 1_000, .inf, 1e3, +1, 0o17, 1:30, yes, Off]\n", "1 a.[0] a number|1 a.[1] a number|1 a.[2] a number|1 a.[3] a number|1 a.[4] a number|1 a.[5] a number|1 a.[6] a number|1 a.[7] a word|1 a.[8] a word|1 a.[9] a word"},
		{"yaml", "json", "8080: a\ntrue: b\nnull: c\n? [x]\n: d\nno: e\n", "1 8080 a key that is no text|2 true a key that is no text|3 null a key that is no text|4  a key that is no text|6 no a key that readers"},
		{"yaml", "json", "a: 9007199254740992\n", "1 a an integer above 2^53"},
		{"yaml", "json", "a: 1\n---\nb: 2\n", "2  a second document"},
		{"yaml", "json", "a: 2024-01-15\nb: &x 1\n", "1 a a date|2 b an anchor"},
		{"yaml", "json", "SENTINEL\n", "1  a text at the root"},
		{"yaml", "dotenv", "A: 1\nB: true\nC: null\nD: 1.5\nE: {F: g}\nG: []\n\"H I\": x\nJ: 2024-01-15\n", "1 A an integer, and|2 B a boolean|3 C null|4 D a floating|5 E a map|6 G a list|7 H I a name|8 J a date"},
		{"json", "dotenv", `["x"]`, "1  a list at the root"},
		{"json", "yaml", `{"a": 1, "b": {"c": 2, "c": 3}, "d": 1e400, "e": -0}`, "1 b.c a key for the second time|1 d a number|1 e a number"},
		{"json", "yaml", "{\n\"a\": 100000000000000000000,\n\"b\": \"\\ud800\"}", "2 a an integer of more|3 b a text with half a surrogate"},
		{"json", "yaml", "{\n\"a\": 100000000000000000000}", "2 a an integer of more than 64 bits"},
		{"dotenv", "yaml", "A=1\njust words\nA=2\nB=\xff\n", "2  a line that is no assignment|3 A a name for the second time|4 B a text that is not valid"},
		{"dotenv", "yaml", "B=\xff\n", "1 B a text that is not valid UTF-8"},
		{"dotenv", "json", "A=1 # c\nB=\xff\n", "1  a comment|2 B a text that is not valid UTF-8"},
	} {
		got, lost, err := Convert(c.from, c.to, []byte(c.in), false)
		if err != nil || got != nil {
			t.Errorf("%s to %s: %q: %q, %v", c.from, c.to, c.in, got, err)
			continue
		}
		want := strings.Split(c.want, "|")
		for i, l := range lost {
			if text := fmt.Sprintf("%d %s %s", l.Line, l.Key, l.Why); i >= len(want) || !strings.HasPrefix(text, want[i]) || strings.Contains(text, "SENTINEL") {
				t.Errorf("%q: %s", c.in, text)
			}
		}
		if len(lost) != len(want) {
			t.Errorf("%q: %d losses, want %d: %v", c.in, len(lost), len(want), lost)
		}
	}
	if out, _, err := Convert("yaml", "json", []byte("# c\na: 1 # d\n"), true); err != nil || string(out) != "{\n  \"a\": 1\n}\n" {
		t.Errorf("without comments: %q, %v", out, err)
	}
	for _, empty := range []string{"", "# c\n", "---\n"} {
		if out, lost, err := Convert("yaml", "json", []byte(empty), true); out != nil || err == nil && lost == nil {
			t.Errorf("%q: %q", empty, out)
		}
	}
}

// corpus are the documents of testdata.
func corpus(f interface{ Fatal(...any) }) map[string][]byte {
	files := map[string][]byte{}
	for _, glob := range []string{"real/*", "probes/*", "json-test-suite/*", "yaml-test-suite/*"} {
		paths, err := filepath.Glob("../../testdata/roundtrip/" + glob)
		if err != nil || len(paths) == 0 {
			f.Fatal(glob, err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			files[path] = src
		}
	}
	return files
}

// TestConvertCorpus: of every document that is converted, other readers than
// the ones at work here read the same.
func TestConvertCorpus(t *testing.T) {
	done := map[string]int{}
	for path, src := range corpus(t) {
		for _, from := range []string{"yaml", "json"} {
			if (strings.HasSuffix(path, ".json")) != (from == "json") {
				continue
			}
			to := map[string]string{"yaml": "json", "json": "yaml"}[from]
			out, lost, err := Convert(from, to, src, true)
			if err != nil || len(lost) > 0 {
				continue
			}
			done[from]++
			sameAny(t, path, from, src, to, out)
			back, lost, err := Convert(to, from, out, true)
			if err != nil || len(lost) > 0 {
				t.Errorf("%s: not back: %v %v", path, lost, err)
				continue
			}
			sameAny(t, path, from, src, from, back)
		}
	}
	if done["yaml"] < 30 || done["json"] < 20 {
		t.Errorf("converted %v", done)
	}
}

// sameAny compares what yaml.v3 and encoding/json make of two documents.
func sameAny(t *testing.T, name, from string, src []byte, to string, out []byte) {
	t.Helper()
	read := func(format string, src []byte) (v any) {
		var err error
		if format == "json" {
			if err = json.Unmarshal(bytes.TrimPrefix(src, []byte("\ufeff")), &v); err != nil {
				t.Fatal(name, err)
			}
			return v
		}
		if err = yaml.Unmarshal(src, &v); err != nil {
			t.Fatal(name, err)
		}
		text, err := json.Marshal(v) // ints become floats, as in JSON
		if err == nil {
			v = nil
			err = json.Unmarshal(text, &v)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		return v
	}
	if a, b := read(from, src), read(to, out); !reflect.DeepEqual(a, b) {
		t.Errorf("%s: %v became %v:\n%s", name, a, b, out)
	}
}

// FuzzConvert: whatever is converted can be converted back, to the same data.
func FuzzConvert(f *testing.F) {
	for _, src := range corpus(f) {
		f.Add(string(src))
	}
	f.Add("A=1\nB='x y' # c\n")
	f.Fuzz(func(t *testing.T, src string) {
		for _, from := range Convertible {
			for _, to := range Convertible {
				out, lost, err := Convert(from, to, []byte(src), true)
				if from == to || err != nil || len(lost) > 0 {
					continue
				}
				in, _ := notationOf(from)
				want, _, _, _ := decode(in, from, []byte(src))
				back, lost, err := Convert(to, from, out, true)
				if to == "dotenv" || err == nil && len(lost) > 0 && onlyRounding(lost) {
					continue
				}
				got, _, _, _ := decode(in, from, back)
				if err != nil || len(lost) > 0 || !want.same(got) {
					t.Errorf("%s to %s and back: %v %v\n%q\n%q", from, to, lost, err, out, back)
				}
			}
		}
	})
}

// onlyRounding: YAML keeps integers that JSON does not.
func onlyRounding(lost []Loss) bool {
	for _, l := range lost {
		if !strings.Contains(l.Why, "2^53") {
			return false
		}
	}
	return true
}
