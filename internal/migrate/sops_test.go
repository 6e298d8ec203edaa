package migrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"gopkg.in/ini.v1"
	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

const sopsModule = "github.com/getsops/sops/v3/cmd/sops@v3.13.3"

// realSops is the program that these tests talk to. In CI it is installed if
// it is not there; elsewhere tests without it are skipped.
func realSops(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "leafseal-bench", "v3.13.3")
	local := filepath.Join(dir, "sops")
	if _, err := os.Stat(local); err == nil {
		return local
	}
	if path, err := exec.LookPath("sops"); err == nil {
		if out, err := exec.Command(path, "--version", "--disable-version-check").Output(); err == nil && bytes.Contains(out, []byte("3.13.3")) {
			return path
		}
	}
	if os.Getenv("CI") == "" {
		t.Skip("sops 3.13.3 is not installed: go install " + sopsModule)
	}
	install := exec.Command("go", "install", sopsModule)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install %s: %v\n%s", sopsModule, err, out)
	}
	return local
}

// lab is a folder with a key and the real sops.
type lab struct {
	t    *testing.T
	sops string
	dir  string
	id   *age.X25519Identity
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, sops: realSops(t), dir: t.TempDir()}
	var err error
	if l.id, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) run(args ...string) ([]byte, error) {
	cmd := exec.Command(l.sops, args...)
	cmd.Dir = l.dir
	cmd.Env = []string{"HOME=" + l.dir, "PATH=" + os.Getenv("PATH"), "SOPS_AGE_KEY=" + l.id.String(), "SOPS_DISABLE_VERSION_CHECK=1"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("sops %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes(), nil
}

func (l *lab) write(name string, data []byte) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), data, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) encrypt(name string, data []byte, flags ...string) ([]byte, error) {
	l.write(name, data)
	return l.run(append(append([]string{"encrypt", "--age", l.id.Recipient().String()}, flags...), name)...)
}

func (l *lab) decrypt(name string, data []byte) ([]byte, error) {
	l.write(name, data)
	return l.run("decrypt", name)
}

// odd are documents that sops takes, by name.
var odd = map[string]string{
	"comments.yaml":  "# top\na: 1 # inline\nlist:\n  # first\n  - x\n  - y # of y\n  # last\nmap:\n  # in\n  k: v\n\n# end\n",
	"only.yaml":      "list:\n  # nothing but this\n  []\nmap:\n  # and this\n  {}\n",
	"multi.yaml":     "---\na: one\n---\n# second\nb: [1, two, 3.5]\n---\nc: {}\n",
	"emptydoc.yaml":  "a: 1\n---\n---\nb: 2\n",
	"empty.yaml":     "a: \"\"\nb: null\nc: ~\nd:\ne: {}\nf: []\ng: [\"\", null, {}]\n",
	"dates.yaml":     "d: 2024-01-15\nt: 2001-12-14T21:59:43.1Z\nq: \"2024-01-15\"\nlist: [2024-01-15]\n",
	"numbers.yaml":   "i: 42\nn: -7\nz: 0\nf: 3.25\ng: 1.0\nh: 0xFF\no: 0o17\ne: 1e3\nbig: 9223372036854775807\nnan: .nan\ninf: -.inf\nsmall: 0.000001\nlarge: 1e21\n",
	"strings.yaml":   "a: \"true\"\nb: \"null\"\nc: \"42\"\nd: \"1e3\"\ne: \"0400\"\nf: yes\ng: \" x \"\nh: \"a: b\"\ni: \"#x\"\nj: '@x'\nk: \"-\"\nl: \"ENC[x]\"\nm: \"~\"\nn: \"=\"\no: \"<<\"\n",
	"bools.yaml":     "t: true\nf: false\nT: True\nlist: [true, false, null]\n",
	"nested.yaml":    "l:\n  - - a\n    - b\n  - - - c\n  - k: v\n    m:\n      - n: o\n  - []\n  - {}\nm: {a: [1, {b: 2}], c: {d: e}}\n",
	"unicode.yaml":   "k\u00e9y: \u00fcber\nemoji: \U0001F600\n\"quoted key\": x\n\"\u4e2d\u6587\": \u4e2d\nnel: \"a\\u0085b\\u2028c\"\nctl: \"a\\x07b\"\n",
	"lines.yaml":     "a: |\n  one\n  two\nb: |-\n  one\n  two\nc: |+\n  one\n\n\nd: >\n  folded\n  text\ne: \"a\\n\\nb\"\nf:\n  - |\n    in list\n    # no comment\nk: \"\\n\"\nl: \"x\\n \\ty\\n\"\n",
	"keys.yaml":      "a.b: 1\n\"a:b\": 2\na:\n  b: 3\n\"\": 4\n\"x y\": 5\n? z\n: 6\n-dash: |\n  x\n  y\n",
	"suffix.yaml":    "a_unencrypted: clear\nb: secret\nc_unencrypted:\n  d: clear\n  e: [1, 2.5, true, 2024-01-15, null, \"\"]\n",
	"suffixed.yaml":  "a_unencrypted: one\nb: two\nc: three\nd_unencrypted: clear\n",
	"suffixed.json":  `{"a_unencrypted": "one", "b": "two"}`,
	"twins.yaml":     "# same\na: 1\n# same\nb:\n  # same\n  c: 1 # same\n  # same\nd:\n  # same\n  - 1\n  # same\n# same\n",
	"aliases.yaml":   "x: &x\n  # in it\n  a: 1 # one\n  l: [1.5, \"q\\n\", null, true, {b: c}]\ny: *x\nz:\n  <<: *x\n  more: &m\n    <<: *x\n    own: 1\nl:\n  - *x\n  - *m\n  - [*x]\ns: &s secret\nt: *s\n",
	"merge.yaml":     "base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\nanchor: &s text\nalias: *s\n",
	"json.yaml":      "{\"a\": 1, \"b\": [true, \"x\"]}",
	"same.yaml":      "list: [same, same, same]\nother: same\n",
	"odd.json":       "{\"a\":[1,2.5,\"x\",null,{},[]],\"b\":{\"c_unencrypted\":true,\"d\":false},\"e\":\"\u00e9\\n\\u0000\\\"\",\"\":0,\"n\":-0.5,\"big\":1e21,\"one\":1.0,\"l\":[[1],[[\"\"]]],\"i\":9007199254740993}",
	"plain.jsonc":    "{\n  \"a\": 1,\n  \"b\": [\"x\", null]\n}\n",
	"deep.json":      "{\n  \"a\": {\n    \"b\": {\n      \"c\": [\n        {\"d\": 1},\n        {\"d\": 2}\n      ]\n    }\n  }\n}\n",
	"plain.env":      "# c\nA=1\n\nB=\"x y\"\nC=a\\nb\nexport D=5\nE=\nF=a=b=c\nG='q' # tail\n#\n# end\nA=twice\n",
	"plain.ini":      "; c\nglobal = 1\n[s]\na = b\n; of c\nc = \"x y\"\nempty =\nsemi = `a;b`\n\n[t]\na = \u00fcber\n",
	"quotes.ini":     "a = 'it'\nb = `c\"d`\nc = x\n[s \"t\"]\n; one\n# two\nk = http ; not cut here\n[e]\n[ f ]\nn = -1\n[db_unencrypted]\nhost_unencrypted = h\n; last\n",
	"crlf.ini":       "; c\r\n[a]\r\nk = v\r\nl: w\r\n",
	"nosection.ini":  "a=1\nb = two words\npath = C:\\x\\y\n",
	"binary.pem":     "-----BEGIN X-----\nabc\n-----END X-----\n",
	"notext.bin":     "\x00\x01\xff\xfe\r\n",
	"windows.yaml":   "a: 1\r\nb: x\r\n# c\r\nc:\r\n  - d\r\n",
	"indented.yaml":  "  a: 1\n  b:\n    - 2\n",
	"longline.yaml":  "a: " + strings.Repeat("word ", 60) + "\n",
	"k8s.yaml":       "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a.b: aGk=\nstringData:\n  c: hello\n",
	"cert.yaml":      "tls:\n  key: |\n    -----BEGIN KEY-----\n    abc\n    -----END KEY-----\n  list:\n    - |\n      a\n      b\n    - c\n",
	"inline.yaml":    "a: |  # why\n  x\n  y\nb: 1  # b\nc:  # of c\n  d: 2\n",
	"onlynull.yaml":  "a:\n",
	"leadspace.yaml": "a: \"  two\\nlines\"\nb: \"x\\n\\n\"\nc: \"\\ttab\"\n",
}

func formatOf(name string) string {
	switch filepath.Ext(name) {
	case ".yaml", ".yml":
		return "yaml"
	case ".json":
		return "json"
	case ".env":
		return "dotenv"
	case ".ini":
		return "ini"
	case ".toml":
		return "toml"
	case ".jsonc":
		return "jsonc"
	}
	return "binary"
}

// TestOpenReal reads what the real sops writes, and has the data that sops
// itself reads.
func TestOpenReal(t *testing.T) {
	l := newLab(t)
	count := 0
	for name, text := range corpus(t) {
		format := formatOf(name)
		if format == "toml" || format == "jsonc" { // sops has neither
			format = "binary"
		}
		sealed, err := l.encrypt(name, []byte(text))
		if err != nil {
			if _, ok := odd[name]; ok {
				t.Errorf("%s: sops refuses it: %v", name, err)
			}
			continue
		}
		want, err := l.decrypt("s-"+name, sealed)
		if err != nil {
			continue // what sops itself cannot read again
		}
		d, err := OpenSops(sealed, format, l.id)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, sealed)
			continue
		}
		count++
		if format == "binary" || format == "dotenv" {
			if !bytes.Equal(d.Plain, want) {
				t.Errorf("%s: got\n%s\nsops has\n%s", name, d.Plain, want)
			}
			continue
		}
		read := data
		if format == "ini" {
			read = iniData
		}
		if got, want := read(t, name, d.Plain), read(t, name, want); got != want {
			t.Errorf("%s: got\n%s\nsops has\n%s\nfrom\n%s", name, got, want, d.Plain)
		}
		if n := len(spansOf(t, d)); n != len(d.Secret) {
			t.Errorf("%s: %d values, but %d are told apart", name, n, len(d.Secret))
		}
	}
	t.Logf("%d files of sops read", count)
	if count < len(odd) {
		t.Errorf("only %d of %d documents were read", count, len(odd))
	}
}

func spansOf(t *testing.T, d *Document) (values []span.Span) {
	t.Helper()
	f := span.ByName(d.Format)
	if f == nil {
		t.Fatalf("format %s", d.Format)
	}
	spans, err := f.Find(d.Plain)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(spans, func(s span.Span) bool { return s.Kind != span.Value })
}

// iniData is data as the library of sops reads INI: it cuts values where
// leafseal does not.
func iniData(t *testing.T, name string, src []byte) string {
	t.Helper()
	f, err := ini.Load(src)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, src)
	}
	var out strings.Builder
	for _, section := range f.Sections() {
		for _, key := range section.Keys() {
			fmt.Fprintf(&out, "%s.%s = %q\n", section.Name(), key.Name(), key.Value())
		}
	}
	return out.String()
}

// data writes what a document says, so that it can be compared.
func data(t *testing.T, name string, src []byte) string {
	t.Helper()
	var out strings.Builder
	switch formatOf(name) {
	case "json", "jsonc":
		dec := json.NewDecoder(bytes.NewReader(src))
		dec.UseNumber()
		for {
			t, err := dec.Token()
			if err != nil {
				break
			}
			if n, ok := t.(json.Number); ok {
				t, _ = n.Float64()
				if i, err := n.Int64(); err == nil && int64(float64(i)) != i {
					t = i
				}
			}
			fmt.Fprintf(&out, "%T %v\n", t, t)
		}
	case "yaml":
		dec := yaml.NewDecoder(bytes.NewReader(src))
		for {
			var n yaml.Node
			if dec.Decode(&n) != nil {
				break
			}
			if n.Content[0].ShortTag() == "!!null" {
				out.WriteString("{}\n---\n") // an empty document is an empty map for sops
				continue
			}
			writeData(&out, n.Content[0])
			out.WriteString("\n---\n")
		}
	case "ini":
		spans, err := span.INI.Find(src)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, src)
		}
		for _, sp := range spans {
			if sp.Kind == span.Value {
				text, err := span.INI.Text(src, sp)
				fmt.Fprintf(&out, "%s = %q %v\n", dotted(sp.Path), text, err)
			}
		}
	default:
		for line := range strings.SplitSeq(string(src), "\n") {
			key, value, ok := strings.Cut(line, "=")
			if line = strings.TrimSpace(line); ok && line[0] != ';' {
				line = strings.TrimSpace(key) + " = " + strings.TrimSpace(value)
			}
			if line != "" {
				out.WriteString(line + "\n")
			}
		}
	}
	return out.String()
}

func writeData(out *strings.Builder, n *yaml.Node) {
	switch n.Kind {
	case yaml.AliasNode:
		writeData(out, n.Alias)
	case yaml.MappingNode:
		out.WriteString("{")
		for i := 0; i < len(n.Content); i += 2 {
			fmt.Fprintf(out, "%q: ", n.Content[i].Value)
			writeData(out, n.Content[i+1])
			out.WriteString(", ")
		}
		out.WriteString("}")
	case yaml.SequenceNode:
		out.WriteString("[")
		for _, c := range n.Content {
			writeData(out, c)
			out.WriteString(", ")
		}
		out.WriteString("]")
	default:
		var v any
		n.Decode(&v)
		switch x := v.(type) {
		case int:
			v = float64(x) // sops writes 1.0 as 1
			if int(float64(x)) != x {
				v = x
			}
		case time.Time:
			v = x.UTC()
		}
		if s, ok := v.(string); ok {
			fmt.Fprintf(out, "%q", s)
		} else {
			fmt.Fprintf(out, "%v", v)
		}
	}
}

// corpus are the odd documents and those of testdata/roundtrip: ours, the
// probes, and those of the formats that sops has not.
func corpus(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, text := range odd {
		all[name] = text
	}
	for _, dir := range []string{"real", "probes"} {
		files, err := filepath.Glob("../../testdata/roundtrip/" + dir + "/*")
		if err != nil || len(files) < 10 {
			t.Fatalf("%d files in %s, %v", len(files), dir, err)
		}
		for _, path := range files {
			all[dir+"-"+filepath.Base(path)] = string(readFile(t, path))
		}
	}
	others, _ := filepath.Glob("../../testdata/roundtrip/jsonc/*")
	toml, _ := filepath.Glob("../../testdata/roundtrip/toml-test/*.toml")
	for _, path := range append(others, toml...) {
		name := filepath.Base(path)
		if span.ByFile(name) == &span.JSONC {
			name += ".jsonc"
		}
		all[name] = string(readFile(t, path))
	}
	return all
}

// notForSops are the documents that sops would refuse or change, and why.
var notForSops = map[string]string{
	"dates.yaml":                  "a date",
	"suffix.yaml":                 "a date",
	"probes-unenc-suffix.yaml":    "a date",
	"probes-i-dup.ini":            "a key that stands there twice",
	"probes-i-emptysec.ini":       "an empty document",
	"probes-i-novalue.ini":        "not \"key = value\"",
	"emptydoc.yaml":               "an empty document",
	"probes-comment-only.yaml":    "an empty document",
	"probes-toplevel-list.yaml":   "only documents that are maps",
	"probes-complex-key.yaml":     "a key that is not a string",
	"probes-int-key.yaml":         "is not a string",
	"probes-null-key.yaml":        "is not a string",
	"probes-j-dup.json":           "a key stands there twice",
	"probes-big-int.yaml":         "sops would round",
	"probes-huge-int.yaml":        "sops would round",
	"probes-j-neg0.json":          "sops would round",
	"probes-j-1e400.json":         "too large",
	"probes-tag-set.yaml":         "a construct of YAML",
	"probes-e-crlf.env":           "CRLF",
	"probes-e-indent-comment.env": "a line that sops does not take",
	"probes-e-nokey.env":          "a line that sops does not take",
	"real-15-inline-comments.env": "a line that sops does not take",
	"real-03-k8s-deployment.yaml": "a zero in front",
	"real-07-ansible-vars.yml":    "a tag (!vault)",
	"real-09-app-config.yaml":     "sops would round",
}

// TestWriteReal writes for the real sops, which must have the same data.
func TestWriteReal(t *testing.T) {
	l := newLab(t)
	written, refused := 0, map[string]bool{}
	for name, text := range corpus(t) {
		format := formatOf(name)
		f := span.ByName(format)
		if format == "binary" {
			f = span.ByName("text")
		}
		if f == nil {
			continue
		}
		spans, err := f.Find([]byte(text))
		if err != nil || len(text) == 0 {
			continue
		}
		o := SopsOptions{Format: f.Name, Comments: true, Now: time.Now(), To: []SopsRecipient{{l.id.Recipient().String(), l.id.Recipient()}}}
		for i, s := range spans {
			if s.Kind == span.Value {
				o.Secret = append(o.Secret, i%4 != 3)
			}
		}
		for _, comments := range []bool{true, false} {
			o.Comments = comments
			sealed, _, err := WriteSops([]byte(text), o)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) || !errors.Is(err, ErrUnsupported) {
					t.Errorf("%s: %v\n%s", name, err, text)
				}
				why := notForSops[name]
				if format == "jsonc" && !json.Valid([]byte(text)) {
					why = "comments or trailing commas"
				}
				if why == "" || !strings.Contains(err.Error(), why) {
					t.Errorf("%s: refused: %v", name, err)
				}
				refused[name] = true
				continue
			}
			written++
			got, err := l.decrypt("w-"+strings.Replace(name, ".jsonc", ".json", 1), sealed)
			if err != nil {
				t.Errorf("%s: sops: %v\n%s", name, err, sealed)
				continue
			}
			if (format == "binary" || format == "toml") && string(got) != text {
				t.Errorf("%s: sops has %q", name, got)
			} else if got, want := data(t, name, got), data(t, name, []byte(text)); got != want {
				t.Errorf("%s: sops has\n%s\nnot\n%s\nfrom\n%s", name, got, want, sealed)
			}
			if bytes.Contains(got, []byte("type:comment")) {
				t.Errorf("%s: sops does not open a comment:\n%s", name, got)
			}
		}
	}
	for name := range notForSops {
		if !refused[name] {
			t.Errorf("%s is written now: take it out of the list", name)
		}
	}
	if written < 100 {
		t.Errorf("only %d files were written", written)
	}
}

// ruled are documents under each kind of rule, which .sops.yaml gives.
var ruled = []struct {
	config, text string
	rule         Rule
	secret       string // of each value: t or f
	note         string
}{
	{"encrypted_regex: ^(data|stringData)$", odd["k8s.yaml"], Rule{Only: `(?:^|\.)(data|stringData)(?:\.|$)`}, "ffftt", ""},
	{"unencrypted_regex: ^(kind|apiVersion|metadata)$", odd["k8s.yaml"], Rule{Except: `(?:^|\.)(kind|apiVersion|metadata)(?:\.|$)`}, "ffftt", ""},
	{"encrypted_suffix: _secret", "a_secret: 1\nb: 2\nc_secret:\n  d: 3\n", Rule{Only: `_secret(?:\.|$)`}, "tft", ""},
	{"unencrypted_suffix: _plain", "a_plain: 1\nb: 2\nc_plain:\n  d: 3\n", Rule{Except: `_plain(?:\.|$)`}, "ftf", ""},
	{"unencrypted_suffix: _plain", "a_plain.b: 1\na_plain: 2\n", Rule{Except: `^(?:a_plain)$`}, "tf", "cannot be said"},
	{"unencrypted_regex: ^a.b$", "a.b: 1\naxb: 2\nc: 3\n", Rule{}, "fft", "sealed from now on: a.b"},
	{"unencrypted_regex: ^.*_id$", "a_id: 1\nb: {c_id: 2}\nd: 3\n", Rule{Except: ``}, "fft", ""},
	{"encrypted_comment_regex: SEC", "# SEC\na: 1\nb: 2\nc:\n  # SEC\n  - 3\n  - 4\nd: {e: 5}\n", Rule{Except: `^(?:b|d\.e)$`, KeepComments: true}, "tftff", "cannot be said"},
	{"unencrypted_comment_regex: PUB", "# PUB\na: 1\nb: 2\n# other\nc: 3\n", Rule{Except: `^(?:a)$`}, "ftt", "cannot be said"},
	{"mac_only_encrypted: true\n    encrypted_regex: ^a$", "a: 1\nb: x\n", Rule{Only: `(?:^|\.)a(?:\.|$)`}, "tf", ""},
}

// TestRulesReal reads files of the real sops under every kind of rule.
func TestRulesReal(t *testing.T) {
	l := newLab(t)
	for _, c := range ruled {
		l.write(".sops.yaml", []byte("creation_rules:\n  - age: "+l.id.Recipient().String()+"\n    "+c.config+"\n"))
		l.write("x.yaml", []byte(c.text))
		sealed, err := l.run("encrypt", "x.yaml")
		if err != nil {
			t.Fatal(err)
		}
		d, err := OpenSops(sealed, "yaml", l.id)
		if err != nil {
			t.Errorf("%s: %v\n%s", c.config, err, sealed)
			continue
		}
		if data(t, "x.yaml", d.Plain) != data(t, "x.yaml", []byte(c.text)) {
			t.Errorf("%s: got\n%s", c.config, d.Plain)
		}
		secret := ""
		for _, s := range d.Secret {
			secret += fmt.Sprint(s)[:1]
		}
		if secret != c.secret {
			t.Errorf("%s: secret %s, not %s", c.config, secret, c.secret)
		}
		if c.rule != (Rule{}) && d.Rule != c.rule {
			t.Errorf("%s: rule %+v, not %+v", c.config, d.Rule, c.rule)
		}
		if notes := strings.Join(d.Notes, "; "); c.note != "" && !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q", c.config, notes)
		}
		// Whatever the rule: what was secret is never left in clear by it.
		seals := d.Rule.seals()
		for i, sp := range spansOf(t, d) {
			if d.Secret[i] && !seals(dotted(sp.Path)) {
				t.Errorf("%s: the rule leaves a secret in clear: %s", c.config, dotted(sp.Path))
			}
		}
	}
}

// TestDottedRegexp holds the rewritten expressions against the ones on single
// keys: one that leaves in clear must never match more.
func TestDottedRegexp(t *testing.T) {
	keys := []string{"a", "b", "ab", "a_b", "password", "x", ""}
	var paths [][]string
	for _, a := range keys {
		for _, b := range keys {
			paths = append(paths, []string{a}, []string{a, b}, []string{"a.b", a, b})
		}
	}
	for _, expr := range []string{"^a$", "^(a|b)$", "a", "^a", "b$", "^.*b$", "^[^x]+$", "(^a|b$)", "a^b", "^a.b$", "(?i)^PASS", `\bab\b`, "^(?:a|ab)_?b?$", "a*", "^$", ".", "^a?b$", "(a$|^b)+", `^a\.b$`, `[.]`, "(?s).+"} {
		for _, narrow := range []bool{true, false} {
			out, ok := dottedRegexp(expr, narrow)
			if !ok {
				continue
			}
			one, all := regexp.MustCompile(expr), regexp.MustCompile(out)
			for _, p := range paths {
				was := slices.ContainsFunc(p, one.MatchString)
				is := all.MatchString(strings.Join(p, "."))
				hasDot := strings.Contains(p[0], ".") || slices.Contains(p, "")
				if !hasDot && (narrow && is && !was || !narrow && was && !is) {
					t.Errorf("%s as %s: %v matches %v, was %v", expr, out, p, is, was)
				}
			}
		}
	}
}

// TestTampered changes each kind of thing in a file of sops.
func TestTampered(t *testing.T) {
	id, src := fixture(t, "comments.yaml")
	if _, err := OpenSops(src, "yaml", id); err != nil {
		t.Fatal(err)
	}
	tokens := regexp.MustCompile(`ENC\[AES256_GCM,data:[^\]]*type:(str|int)\]`).FindAllIndex(src, -1)
	change := func(at int) []byte {
		out := bytes.Clone(src)
		if out[at]++; out[at] == '[' || out[at] == '{' || out[at] == ':' || out[at] == ',' {
			out[at] -= 2
		}
		return out
	}
	cases := map[string][]byte{
		"swapped":   slices.Concat(src[:tokens[0][0]], src[tokens[1][0]:tokens[1][1]], src[tokens[0][1]:tokens[1][0]], src[tokens[0][0]:tokens[0][1]], src[tokens[1][1]:]),
		"in clear":  slices.Concat(src[:tokens[0][0]], []byte("plain"), src[tokens[0][1]:]),
		"a number":  slices.Concat(src[:tokens[0][0]], []byte("1"), src[tokens[0][1]:]),
		"emptied":   slices.Concat(src[:tokens[0][0]], []byte(`""`), src[tokens[0][1]:]),
		"no mac":    regexp.MustCompile(`(?m)^    mac: .*\n`).ReplaceAll(src, nil),
		"time":      regexp.MustCompile(`lastmodified: "20`).ReplaceAll(src, []byte(`lastmodified: "19`)),
		"a comment": bytes.Replace(src, []byte("type:str"), []byte("type:comment"), 1),
		"a type":    bytes.Replace(src, []byte("type:str"), []byte("type:int"), 1),
		"two rules": bytes.Replace(src, []byte("    version:"), []byte("    encrypted_suffix: x\n    version:"), 1),
		"dropped":   regexp.MustCompile(`(?m)^a: .*\n`).ReplaceAll(src, nil),
		"no keys":   regexp.MustCompile(`(?s)    age:.*    lastmodified`).ReplaceAll(src, []byte("    lastmodified")),
	}
	for i, at := range tokens {
		for _, offset := range []int{len("ENC[AES256_GCM,data:"), at[1] - at[0] - len("==,type:int]") - 3} {
			cases[fmt.Sprintf("token %d byte %d", i, offset)] = change(at[0] + offset)
		}
	}
	for name, bad := range cases {
		if bytes.Equal(bad, src) {
			t.Errorf("%s: nothing was changed", name)
		}
		d, err := OpenSops(bad, "yaml", id)
		if !errors.Is(err, ErrTampered) || d != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, word := range []string{"SENTINEL", "plain"} {
			if err != nil && strings.Contains(err.Error(), word) {
				t.Errorf("%s: a value in the error: %v", name, err)
			}
		}
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]age.Identity{nil, {other}} {
		if _, err := OpenSops(src, "yaml", ids...); !errors.Is(err, ErrNoIdentity) {
			t.Errorf("with %d identities: %v", len(ids), err)
		}
	}
}

// TestRefused names what cannot be read.
func TestRefused(t *testing.T) {
	id, src := fixture(t, "comments.yaml")
	age := regexp.MustCompile(`(?s)    age:.*    lastmodified`)
	for want, bad := range map[string][]byte{
		"pgp (1), kms (2)":                   age.ReplaceAll(src, []byte("    kms:\n        - arn: a\n        - arn: b\n    pgp:\n        - fp: c\n    lastmodified")),
		"2 key groups (Shamir's":             age.ReplaceAll(src, []byte("    shamir_threshold: 2\n    key_groups:\n        - age:\n            - recipient: a\n              enc: b\n        - age:\n            - recipient: a\n              enc: b\n    lastmodified")),
		"there is no metadata":               []byte("a: 1\n"),
		"not a valid regular expression":     bytes.Replace(src, []byte("unencrypted_suffix: _unencrypted"), []byte("encrypted_regex: ^(a"), 1),
		"the data key of a recipient is dam": bytes.Replace(src, []byte("YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+"), []byte("YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0"), 1),
	} {
		if want == "pgp (1), kms (2)" {
			want = "kms (2), pgp (1)"
		}
		if _, err := OpenSops(bad, "yaml", id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

const fixtures = "../../testdata/foreign/sops"

// fixture reads a file that the real sops wrote, and its identity.
func fixture(t *testing.T, name string) (age.Identity, []byte) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(fixtures, "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	return ids[0], src
}

// TestFixtures reads files that sops 3.13.3 wrote; beside each is the
// plaintext that is wanted.
func TestFixtures(t *testing.T) {
	plains, err := filepath.Glob(filepath.Join(fixtures, "plain", "*"))
	if err != nil || len(plains) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range plains {
		name := filepath.Base(path)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id, src := fixture(t, name)
		d, err := OpenSops(src, formatOf(name), id)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(d.Plain, want) {
			t.Errorf("%s: got\n%s\nnot\n%s", name, d.Plain, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for expr, want := range map[string]string{
		`.*`:                        "**",
		``:                          "**",
		`^prod/.*\.yaml$`:           "prod/**/*.yaml",
		`secrets/[^/]+\.ya?ml$`:     "**/*secrets/*.y{a,}ml",
		`\.enc\.(yaml|json)$`:       "**/*.enc.{yaml,json}",
		`^(dev|prod)/`:              "{dev,prod}/**",
		`^a/b\.yaml$`:               "a/b.yaml",
		`^x.*y$`:                    "x{*,*/**/*}y",
		`.*/secret/.*`:              "**/secret/**",
		`(?i)^A$`:                   "?",
		`^clusters/[a-z]+/.*\.env$`: "clusters/*/**/*.env",
		`^hosts/\w+/secrets\.yaml$`: "hosts/*/secrets.yaml",
		`.*\.sops\.ya?ml`:           "**/*.sops.y{a,}ml{*,*/**}",
	} {
		if got := glob(regexp.MustCompile(expr)); got != want {
			t.Errorf("%s: %s, not %s", expr, got, want)
		}
	}
}

func TestReadSopsConfig(t *testing.T) {
	rules, err := ReadSopsConfig([]byte(`
keys:
  - &alice age1alice
  - &team [age1x, age1y]
creation_rules:
  - path_regex: a/.*
    age: age1one, age1two
    encrypted_regex: ^(x|y)$
  - path_regex: b/.*
    key_groups:
      - age: [*alice, age1bob] # c
        pgp: [ABC]
  - path_regex: c
    key_groups: [{age: [*alice]}, {age: [age1z]}]
    shamir_threshold: 2
  - age:
      - age1carol # carol
      - *alice
    encrypted_comment_regex: x
`))
	if err != nil || len(rules) != 4 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	for i, want := range []string{
		"[{ age1one} {age1two}] {(?:^|\\.)(x|y)(?:\\.|$) false}",
		"[{alice age1alice} { age1bob}]",
		"[]",
		"[{carol age1carol} {alice age1alice}]",
	} {
		if got := fmt.Sprint(rules[i].Keys); i > 0 && got != want {
			t.Errorf("rule %d: %s, not %s", i, got, want)
		}
	}
	if len(rules[0].Keys) != 2 || rules[0].Rule.Only != `(?:^|\.)(x|y)(?:\.|$)` || len(rules[1].Notes) != 1 || len(rules[2].Notes) != 1 || len(rules[3].Notes) != 1 {
		t.Errorf("%+v", rules)
	}
	loop := "creation_rules:\n  - age:\n      - &k0 [age1x]\n" // a list in itself, and 2^40 keys
	for i := range 40 {
		loop += fmt.Sprintf("      - &k%d [*k%d, *k%d]\n", i+1, i, i)
	}
	rules, err = ReadSopsConfig([]byte(loop + "      - &k [*k, age1y]\n"))
	if err != nil || fmt.Sprint(rules[0].Keys) != "[{ age1x} { age1y}]" {
		t.Errorf("%v, %v", rules, err)
	}
	for _, bad := range []string{"a: [", "creation_rules:\n  - path_regex: (\n", "creation_rules:\n  - {encrypted_regex: a, encrypted_suffix: b}\n"} {
		if _, err := ReadSopsConfig([]byte(bad)); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

// TestRandomReal holds random documents, with comments wherever they may
// stand, against the real sops in both directions.
func TestRandomReal(t *testing.T) {
	l := newLab(t)
	n, seed := 12, uint64(1) // the same every time, unless more are wanted
	if v := os.Getenv("LEAFSEAL_RANDOM"); v != "" {
		fmt.Sscan(v, &n)
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	refused := 0
	for range n {
		text := randomYAML(r)
		sealed, err := l.encrypt("r.yaml", []byte(text))
		if err == nil {
			var want []byte
			if want, err = l.decrypt("s.yaml", sealed); err == nil {
				d, err := OpenSops(sealed, "yaml", l.id)
				if err != nil {
					t.Fatalf("%v\n%s\nfrom\n%s", err, sealed, text)
				}
				// What sops itself prints is sometimes not what it was given.
				if got := data(t, "r.yaml", d.Plain); got != data(t, "r.yaml", want) && got != data(t, "r.yaml", []byte(text)) {
					t.Fatalf("got\n%s\nnot\n%s\nfrom\n%s", d.Plain, want, text)
				}
				if have, want := bytes.Count(d.Plain, []byte("#")), bytes.Count(want, []byte("#")); have < want || bytes.Contains(d.Plain, []byte("type:comment")) {
					t.Errorf("%d comments, sops has %d:\n%s\nfrom\n%s", have, want, d.Plain, text)
				}
			}
		}
		spans, err := span.YAML.Find([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		o := SopsOptions{Format: "yaml", Comments: r.IntN(2) == 0, Now: time.Now(), To: []SopsRecipient{{l.id.Recipient().String(), l.id.Recipient()}}}
		for _, s := range spans {
			if s.Kind == span.Value {
				o.Secret = append(o.Secret, r.IntN(3) > 0)
			}
		}
		out, _, err := WriteSops([]byte(text), o)
		if err != nil {
			if refused++; !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v\n%s", err, text)
			}
			continue
		}
		back, err := l.decrypt("w.yaml", out)
		if err != nil {
			t.Fatalf("%v\n%s\nfrom\n%s", err, out, text)
		}
		if got, want := data(t, "r.yaml", back), data(t, "r.yaml", []byte(text)); got != want || bytes.Contains(back, []byte("type:comment")) {
			t.Fatalf("sops has\n%s\nof\n%s\nfrom\n%s", back, out, text)
		}
	}
	t.Logf("%d documents, %d refused for writing", n, refused)
}

// randomYAML writes a block document with a few values and many comments.
func randomYAML(r *rand.Rand) string {
	var b strings.Builder
	n := 0
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	comment := func(indent string) {
		for r.IntN(3) == 0 {
			n++
			fmt.Fprintf(&b, "%s#%sc%d\n", indent, pick(" ", "", "  "), n)
			if r.IntN(3) == 0 {
				b.WriteString("\n")
			}
		}
	}
	scalar := func(indent string) {
		tail := "\n"
		if r.IntN(4) == 0 {
			n++
			tail = fmt.Sprintf(" # i%d\n", n)
		}
		if r.IntN(8) == 0 {
			b.WriteString(" |\n" + indent + "  line\n" + indent + "  more\n")
			return
		}
		b.WriteString(pick(" x", " 42", " 2.5", " true", " null", "", ` ""`, ` "a\nb"`, " 'q'", " {}", " []", " [1, x]", " {k: v}", " long text with: colon"[:15]) + tail)
	}
	var block func(indent string, depth int)
	block = func(indent string, depth int) {
		isList := depth > 0 && r.IntN(2) == 0
		for i := range 1 + r.IntN(4) {
			comment(indent)
			if isList {
				b.WriteString(indent + "-")
			} else {
				fmt.Fprintf(&b, "%s%s%d:", indent, pick("k", "key_", "a.b"), i)
			}
			if depth < 3 && r.IntN(3) == 0 {
				b.WriteString(pick("\n", " # of block\n", "\n"))
				block(indent+"  ", depth+1)
			} else {
				scalar(indent)
			}
		}
		comment(indent)
	}
	block("", 0)
	return b.String()
}
