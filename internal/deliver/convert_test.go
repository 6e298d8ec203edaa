package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type conversion struct{ from, to, in, want string }

var converted = []conversion{
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
	{"jsonc", "toml", "// top\n{ /* root */\n  // of a\n  \"a\": 1, // one\n  /* two\n     lines */ \"b\": {\"c\": [], // d\n  }, \"l\": [ // list\n    1, // first\n    \"x\",\n  ],\n  // end\n}",
		"# top\n# root\n# of a\na = 1 # one\n# two\n# lines\nb.c = [] # d\n# list\nl = [\n  1, # first\n  \"x\",\n]\n# end\n"},
	{"yaml", "toml", "a: {x: 1, 'y z': [{k: v, \"\": 1.5}, {}]}\nb: true\nc: []\nd: {}\nt: |\n  two \"\n  lines\\\ne:\n  f:\n    g: [[1, \"2\"], {h: {}}]\n  l: # of l\n    # first\n    - m: 1 # one\n      n: {o: p}\n    - m: 2\n# end\n",
		"a.x = 1\na.\"y z\" = [{k = \"v\", \"\" = 1.5}, {}]\nb = true\nc = []\nd = {}\nt = \"\"\"\ntwo \\\"\nlines\\\\\n\"\"\"\n\n[e.f]\ng = [[1, \"2\"], {h = {}}]\n\n# of l\n# first\n[[e.l]]\nm = 1 # one\n\n[e.l.n]\no = \"p\"\n\n[[e.l]]\nm = 2\n# end\n"},
	{"toml", "yaml", "# top\na = 0x1F # hex\nb = +1_000.5e+3\nc = '''\nx\ny'''\n[t] # of t\nd.e = [ # in e\n]\n\n# u\n[[u.v]]\nw = \"it's\"\n[[u.v]]\n[t.s]\n",
		"# top\na: 31 # hex\nb: 1000.5e+3\nc: |-\n  x\n  y\nt: # of t\n  d:\n    e: [] # in e\n  s: {}\n# u\nu:\n  v:\n    -\n      w: \"it's\"\n    - {}\n"},
	{"toml", "jsonc", "# top\n[a] # of a\nb = \"x\" # y\n# z\nc = {}\n# end\n", "{\n  // top\n  \"a\": { // of a\n    \"b\": \"x\", // y\n    // z\n    \"c\": {}\n  }\n  // end\n}\n"},
	{"jsonc", "json", "[1, [], {\"a\": null,},]", "[\n  1,\n  [],\n  {\n    \"a\": null\n  }\n]\n"},
	{"yaml", "jsonc", "# c\n[]\n", "[\n  // c\n]\n"},
	{"ini", "toml", "; top\nflat = yes\n\n[s] ; of s\n# k\nk = v = w\nempty =\n[e.f]\n; end\n",
		"# top\nflat = \"yes\"\n# of s\n# k\ns.k = \"v = w\"\ns.empty = \"\"\n\"e.f\" = {}\n# end\n"},
	{"toml", "ini", "# top\na = 'x' # y\n[s]\n# k\nk = \"two words\"\n[\"t:u\"]\n# end\n", "; top\n; y\na = x\n\n[s]\n; k\nk = two words\n\n[t:u]\n; end\n"},
	{"dotenv", "ini", "# c\nA=1\nB='x y'\n", "; c\nA = 1\nB = x y\n"},
	{"ini", "dotenv", "A = 1\nB = x y\n", "A=1\nB='x y'\n"},
}

var refused = []conversion{
	{"json", "yaml", `{"` + strings.Repeat("k", 1024) + `": {"a": null}}`, "1 " + strings.Repeat("k", 1024) + " a key of more than 1024"},
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
	{"yaml", "jsonc", "a: .inf\nb: 2024-01-15\n", "1 a a number|2 b a date, which JSON"},
	{"yaml", "toml", "a: null\nb:\n  - 1\n  -\nc: 2024-01-15\nd: 9223372036854775808\ne: -9223372036854775808\n", "1 a null, which TOML|4 b.[1] null, which TOML|5 c a date, which only|6 d an integer beyond"},
	{"json", "toml", "[\n{\"a\": 1}]", "1  a list at the root"},
	{"json", "toml", "{\"a\": {\n\"b\": null}, \"c\": 1}", "2 a.b null"},
	{"toml", "json", "a = inf\nb = -nan\nc = 1979-05-27\nd = 07:32:00\n[e]\nf = [1979-05-27T07:32:00Z,\n  9007199254740993]\n",
		"1 a an infinite|2 b an infinite|3 c a date, which JSON|4 d a date, which JSON|6 e.f.[0] a date, which JSON|7 e.f.[1] an integer above"},
	{"toml", "yaml", "a = 1979-05-27\nb = nan\n", "1 a a date, which only some readers of YAML|2 b an infinite"},
	{"toml", "dotenv", "A = 1\nB = \"x\"\n[C]\n", "1 A an integer|3 C a map"},
	{"toml", "ini", "a = 1\nb = \"x\"\nc = true\nd = 1.5\ne = 1979-05-27\nf = []\n[s.t]\nu = \"v\"\n[w]\nx = {}\n", "1 a an integer|3 c a boolean|4 d a floating|5 e a date|6 f a list|7 s.t a map in a map|10 w.x a map in a map"},
	{"yaml", "ini", "s:\n  k: v\nflat: x\nS: {}\n", "3 flat a text behind a section|4 S a name for the second time, or one that differs only in case"},
	{"json", "ini", "{\"a\": \"x;y\", \"b\": \"x #y\",\n\"c\": \"it's\", \"d\": \"\\\"q\\\"\",\n\"e\": \" x\", \"f\": \"x\\t\",\n\"g\": \"50%\", \"h\": \"${x}\", \"i\": \"C:\\\\\",\n\"j\": \"a\\nb\", \"k\": \"\\u0007\", \"l\": \"\\u00a0x\"}",
		"1 a a text with ; or #|1 b a text with ; or #|2 c a text with quotes|2 d a text with quotes|3 e a text with blanks|3 f a text with blanks|4 g a text with %|4 h a text with %|4 i a text with a backslash|5 j a text with a line|5 k a text with control|5 l a text with blanks"},
	{"json", "ini", "{\"\": \"x\", \"a b\": \"x\", \"a=b\": \"x\", \"[a\": \"x\",\n\"DEFAULT\": {}, \"a]\": {}, \";\": {}}",
		"1  a key that|1 a b a key that|1 a=b a key that|1 [a a key that|2 DEFAULT a name of which|2 a] a name of which|2 ; a name of which"},
	{"json", "ini", "[\"x\"]", "1  a list at the root"},
	{"ini", "yaml", "a = \"SENTINEL\"\nb = 1 ; c\n[s]\nk = v\nk = w\nword\nx = %(SENTINEL)s\ny = 1\n  2\n[s]\n[r \"t\"]\n[DEFAULT]\nz: a=b\nq r = s\nu = v\\\nw = \xff\n",
		"1 a a text with quotes|2 b a text with ; or #|5 s.k a name for the second|6 s a line without|7 s.x a text with %|8 s.y a text with a line|10 s a name for the second|11 r a section|12 DEFAULT a name|13 DEFAULT.z a value of which|14 DEFAULT.q r a key|15 DEFAULT.u a text with a backslash|16 DEFAULT.w a value of which|16 DEFAULT.w a text with bytes|16 DEFAULT.w a text that is not valid"},
	{"jsonc", "yaml", "{\"a\": 1 // c\n/* d\u2028e */}", "2  a comment, which yaml cannot hold"},
	{"yaml", "json", "a: [ # c\n]\nb: | # d\n  x\n", "1  a comment|3  a comment"},
	{"jsonc", "json", "{\"a\": [/* c */], // d\n}", "1  a comment|1  a comment"},
}

// TestConvert: what is converted, to the byte.
func TestConvert(t *testing.T) {
	for _, c := range converted {
		got, lost, err := Convert(c.from, c.to, []byte(c.in), false)
		if err != nil || len(lost) > 0 || string(got) != c.want {
			t.Errorf("%s to %s: %v %v\n%q, want\n%q", c.from, c.to, lost, err, got, c.want)
		}
	}
}

// TestConvertRefused: what would be lost is named with line and key, and no
// value is in the message.
func TestConvertRefused(t *testing.T) {
	for _, c := range refused {
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
	for _, dir := range []string{"real", "probes", "json-test-suite", "yaml-test-suite", "toml-test", "ini", "jsonc"} {
		n := len(files)
		err := filepath.WalkDir("../../testdata/roundtrip/"+dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				files[path], err = os.ReadFile(path)
			}
			return err
		})
		if err != nil || len(files) < n+10 {
			f.Fatal(dir, err)
		}
	}
	return files
}

// FuzzConvert: whatever is converted can be converted back, to the same data.
func FuzzConvert(f *testing.F) {
	for _, src := range corpus(f) {
		f.Add(string(src))
	}
	for _, c := range slices.Concat(converted, refused) {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, from := range Convertible {
			for _, to := range Convertible {
				out, lost, err := Convert(from, to, []byte(src), true)
				if errors.Is(err, errDiffers) {
					t.Errorf("%s to %s: %v", from, to, err)
				}
				if from == to || err != nil || len(lost) > 0 {
					continue
				}
				in, _ := notationOf(from)
				want, _, _, _ := decode(in, from, []byte(src))
				back, lost, err := Convert(to, from, out, true)
				if err == nil && len(lost) > 0 && onlyRounding(lost) {
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
