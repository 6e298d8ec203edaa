package span

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tailscale/hujson"
	"gopkg.in/yaml.v3"
)

// files calls f for every file below testdata/DIR that a format claims.
func files(t testing.TB, dir string, f func(name string, format *Format, src []byte)) (n int) {
	t.Helper()
	root := filepath.Join("..", "..", "testdata", dir)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		format := ByFile(path)
		if format == nil {
			return nil
		}
		src, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		f(filepath.ToSlash(name), format, src)
		n++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// refusedFiles are the files of testdata/roundtrip that are not accepted, and
// why. All others are.
var refusedFiles = map[string]string{
	"probes/j-comment.json":  "comments",
	"probes/j-garbage.json":  "text behind the document",
	"probes/j-trailing.json": "a second document",

	"yaml-test-suite/Y2GN.yaml": "yaml.v3 ends the anchor &an:chor at the colon",
}

// The laws for every file there is; and, what the parser library accepts is
// accepted.
func TestConformance(t *testing.T) {
	n := files(t, "roundtrip", func(name string, f *Format, src []byte) {
		accepted := checkLaws(t, f, src)
		_, listed := refusedFiles[name]
		switch {
		case accepted && listed:
			t.Errorf("%s is accepted, though listed as refused", name)
		case !accepted && !listed && libraryAccepts(f, src):
			_, err := f.Find(src)
			t.Errorf("%s is refused: %v", name, err)
		case accepted && !libraryAccepts(f, src):
			t.Errorf("%s is accepted, but the parser library refuses it", name)
		}
		if accepted {
			sameTree(t, name, f, src)
		}
	})
	if n < 600 {
		t.Errorf("only %d files", n)
	}
}

// What the suites call invalid is refused as far as the parser library
// refuses it.
func TestInvalid(t *testing.T) {
	n := files(t, "invalid", func(name string, f *Format, src []byte) {
		if _, err := f.Find(src); err == nil && (f == &TOML || !libraryAccepts(f, src)) {
			t.Errorf("%s is accepted", name)
		}
	})
	if n < 670 {
		t.Errorf("only %d files", n)
	}
}

// libraryAccepts asks the library that programs read the format with. Roots
// that cannot carry a block count as refused.
func libraryAccepts(f *Format, src []byte) bool {
	switch f {
	case &YAML:
		dec := yaml.NewDecoder(bytes.NewReader(src))
		for {
			var n yaml.Node
			if err := dec.Decode(&n); errors.Is(err, io.EOF) {
				return true
			} else if err != nil || repeats(&n) {
				return false
			}
		}
	case &JSON:
		src = bytes.TrimLeft(bytes.TrimPrefix(src, []byte(bom)), " \t\r\n")
		return json.Valid(src) && (src[0] == '{' || src[0] == '[')
	case &JSONC:
		v, err := hujson.Parse(slices.Concat(bytes.TrimPrefix(src, []byte(bom)), []byte("\n"))) // it wants one behind a last comment
		if err != nil {
			return false
		}
		kind := v.Value.Kind()
		return kind == '{' || kind == '['
	case &TOML:
		_, err := treeTOML(src)
		return err == nil
	}
	return true
}

// repeats reports whether a map has a key twice, which yaml.v3 tells only
// when it decodes into Go values.
func repeats(n *yaml.Node) bool {
	seen := map[Step]bool{}
	for i, c := range n.Content {
		if repeats(c) {
			return true
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if seen[keyStep(c)] {
				return true
			}
			seen[keyStep(c)] = true
		}
	}
	return false
}

// sameTree seals every value and compares what the parser library makes of
// the document before and after: the same keys, the same shape.
func sameTree(t *testing.T, name string, f *Format, src []byte) {
	t.Helper()
	spans, _ := f.Find(src)
	sealed := Splice(src, spans, func(i int) []byte {
		s := spans[i]
		if s.Fixed {
			return src[s.Start:s.End]
		}
		glue := ""
		if s.Start == s.End {
			glue = f.Empty
		}
		return []byte(glue + s.Open + fakeToken(i) + s.Close)
	})
	if before, after := shape(f, src), shape(f, sealed); before != after {
		t.Errorf("%s: the shape changed from\n%s\nto\n%s", name, before, after)
	}
}

func shape(f *Format, src []byte) string {
	var b strings.Builder
	switch f {
	case &YAML:
		dec := yaml.NewDecoder(bytes.NewReader(src))
		for {
			var n yaml.Node
			if dec.Decode(&n) != nil {
				return b.String()
			}
			yamlShape(&b, &n)
		}
	case &JSON:
		dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(src, []byte(bom))))
		dec.UseNumber()
		jsonShape(&b, dec)
	case &JSONC:
		std, err := hujson.Standardize(slices.Concat(bytes.TrimPrefix(src, []byte(bom)), []byte("\n")))
		own, err2 := StandardJSON(src)
		if own = bytes.TrimPrefix(own, []byte(bom)); err != nil || err2 != nil || !json.Valid(own) || !bytes.Equal(bytes.Join(bytes.Fields(std), nil), bytes.Join(bytes.Fields(own), nil)) {
			return fmt.Sprint(err, err2, " not the same JSON")
		}
		return shape(&JSON, std)
	case &TOML:
		tree, err := treeTOML(src)
		fmt.Fprint(&b, tomlShape(tree), err)
	}
	return b.String()
}

func yamlShape(b *strings.Builder, n *yaml.Node) {
	if len(n.Content) == 0 {
		b.WriteString("value ")
		return
	}
	fmt.Fprintf(b, "%d(", n.Kind)
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			fmt.Fprintf(b, "%+v: ", keyStep(c))
			continue
		}
		yamlShape(b, c)
	}
	b.WriteString(")")
}

// jsonShape writes one value: leaves and empty collections look the same.
func jsonShape(b *strings.Builder, dec *json.Decoder) {
	tok, err := dec.Token()
	if err != nil {
		fmt.Fprint(b, err)
		return
	}
	open, ok := tok.(json.Delim)
	if !ok || !dec.More() {
		if ok {
			dec.Token()
		}
		b.WriteString("value ")
		return
	}
	b.WriteString(open.String())
	for dec.More() {
		if open == '{' {
			key, _ := dec.Token()
			fmt.Fprintf(b, "%q: ", key)
		}
		jsonShape(b, dec)
	}
	dec.Token()
	b.WriteString(")")
}

func seeds(f *testing.F, format *Format, more ...string) {
	n := files(f, "roundtrip", func(_ string, of *Format, src []byte) {
		if of == format {
			f.Add(src)
		}
	})
	for _, s := range more {
		f.Add([]byte(s))
	}
	if n == 0 {
		f.Fatal("no seeds")
	}
}

// blockLaw: what is attached comes off again, whatever the body.
func blockLaw(t *testing.T, f *Format, body []byte) {
	t.Helper()
	for _, lines := range [][]string{{"v1 x"}, {"v1 x", "only \"a\\b\"\t", "", "seal x"}} {
		out, err := f.AttachBlock(body, lines)
		if err != nil {
			t.Fatalf("attach to %q: %v", body, err)
		}
		got, gotLines, ok := f.DetachBlock(out)
		if f.NeedsGlue(body) {
			got = f.TrimGlue(got)
		}
		if !ok || !bytes.Equal(got, body) || fmt.Sprint(gotLines) != fmt.Sprint(lines) {
			t.Fatalf("%q came apart as %q and %q", out, got, gotLines)
		}
	}
}

func FuzzYAML(f *testing.F) {
	seeds(f, &YAML, yamlSeeds...)
	f.Fuzz(func(t *testing.T, src []byte) {
		if provable(&YAML, src) && checkLaws(t, &YAML, src) {
			blockLaw(t, &YAML, src)
		}
	})
}

func FuzzJSON(f *testing.F) {
	seeds(f, &JSON, jsonSeeds...)
	f.Fuzz(func(t *testing.T, src []byte) {
		if !checkLaws(t, &JSON, src) {
			if _, err := JSON.Find(src); libraryAccepts(&JSON, src) && !strings.Contains(err.Error(), "reserved") && !strings.Contains(err.Error(), "nested") {
				t.Fatalf("refused: %v\n%q", err, src)
			}
			return
		}
		if !libraryAccepts(&JSON, src) {
			t.Fatalf("accepted: %q", src)
		}
		blockLaw(t, &JSON, src)
	})
}

func FuzzDotenv(f *testing.F) {
	seeds(f, &Dotenv, dotenvSeeds...)
	f.Fuzz(func(t *testing.T, src []byte) {
		if checkLaws(t, &Dotenv, src) {
			blockLaw(t, &Dotenv, src)
		}
	})
}

func FuzzJSONC(f *testing.F) {
	seeds(f, &JSONC, append(jsoncSeeds, jsonSeeds...)...)
	f.Fuzz(func(t *testing.T, src []byte) {
		accepted := checkLaws(t, &JSONC, src)
		if _, err := JSON.Find(src); err == nil && !accepted {
			t.Fatalf("valid JSON is refused: %q", src)
		}
		if !accepted {
			_, err := JSONC.Find(src)
			if libraryAccepts(&JSONC, src) && utf8.Valid(src) && !strings.Contains(err.Error(), "reserved") && !strings.Contains(err.Error(), "nested") && !strings.Contains(err.Error(), "carriage return") {
				t.Fatalf("refused: %v\n%q", err, src)
			}
			return
		}
		if !libraryAccepts(&JSONC, src) && utf8.Valid(src) {
			t.Fatalf("accepted: %q", src)
		}
		if std, err := StandardJSON(src); err != nil || !json.Valid(bytes.TrimPrefix(std, []byte(bom))) {
			t.Fatalf("%q became %q, %v", src, std, err)
		}
		blockLaw(t, &JSONC, src)
	})
}

func FuzzINI(f *testing.F) {
	seeds(f, &INI, iniSeeds...)
	f.Fuzz(func(t *testing.T, src []byte) {
		if checkLaws(t, &INI, src) {
			blockLaw(t, &INI, src)
			onlyTokens(t, src)
		}
	})
}

// FuzzDetach: nothing that is read as a block makes trouble.
func FuzzDetach(f *testing.F) {
	for _, s := range []string{"", "# leafseal:begin v1\n# leafseal:end\n", "a\r\n# leafseal:begin v1\r\n# x\r\n# leafseal:end\r\n", "# leafseal:end", `{"leafseal": ["v1"]}`, `[1, {"leafseal": ["v1"]}]`, `{"leafseal": [`, `{"a":{"leafseal": ["v1"]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, format := range Formats {
			body, lines, ok := format.DetachBlock(src)
			if !ok && (len(lines) > 0 || !bytes.Equal(body, src)) {
				t.Fatalf("%s: no block, but %q and %q", format.Name, body, lines)
			}
		}
	})
}

func TestDepth(t *testing.T) {
	deep := func(open, close string, n int) []byte {
		return []byte(strings.Repeat(open, n) + strings.Repeat(close, n))
	}
	for _, c := range []struct {
		f           *Format
		open, close string
	}{{&JSON, "[", "]"}, {&JSON, `{"a":`, "}"}, {&YAML, "[", "]"}, {&YAML, "{a: ", "}"}, {&YAML, "- ", ""}, {&YAML, "? ", ""}, {&TOML, "[", "]"}, {&TOML, "a=[", "]"}, {&TOML, "{a=", "}"}, {&TOML, "a.", ""}, {&JSONC, "[/**/", "]"}, {&JSONC, `{"a":`, "}"}} {
		for _, n := range []int{MaxDepth + 2, 20000, 200000} {
			src := deep(c.open, c.close, n)
			if c.open == `{"a":` {
				src = []byte(strings.Repeat(c.open, n) + "1" + strings.Repeat("}", n))
			}
			if c.f == &TOML {
				src = deepTOML(c.open, n)
			}
			if _, err := c.f.Find(src); err == nil {
				t.Errorf("%s: %d times %q is accepted", c.f.Name, n, c.open)
			}
		}
	}
	for n, ok := range map[int]bool{maxKeys: true, maxKeys + 1: false} {
		if _, err := YAML.Find(deep("? ", "a", n)[:2*n+1]); (err == nil) != ok {
			t.Errorf("%d keys in keys: %v", n, err)
		}
	}
	for _, f := range []*Format{&JSON, &JSONC, &YAML} {
		if !checkLaws(t, f, deep("[", "]", 500)) {
			t.Errorf("%s: 500 levels are refused", f.Name)
		}
	}
}

// TestRoom: many values below one long path take a bounded amount of memory.
func TestRoom(t *testing.T) {
	times := strings.Repeat
	long := times("k", 500_000)
	for _, c := range []struct {
		f                 *Format
		head, value, tail string
	}{
		{&JSON, times("[", 990), "1,", "1" + times("]", 990)},
		{&JSON, times("[", 990), "[1],", "1" + times("]", 990)},
		{&JSON, times(`{"a":`, 990) + "[", `{"a":1},`, "1]" + times("}", 990)},
		{&JSON, `{"` + long + `":[`, "1,", "1]}"},
		{&YAML, times("[", 990), "1,", "1" + times("]", 990)},
		{&YAML, times("{a: ", 990) + "[", "[1],", "1]" + times("}", 990)},
		{&YAML, "? " + long + "\n:\n", "- 1\n", ""},
		{&TOML, "a=" + times("[", 990), "1,", "1" + times("]", 990)},
		{&TOML, "a=" + times("{a=", 990) + "[", "[1],", "1]" + times("}", 990)},
		{&TOML, "[" + times("a.", 990) + "a]\nb=[", "1,", "1]"},
		{&TOML, "[" + long + "]\nb=[", "1,", "1]"},
	} {
		src := []byte(c.head + times(c.value, 200_000) + c.tail)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.f.Find(src)
		runtime.ReadMemStats(&after)
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 600 || err == nil || !strings.Contains(err.Error(), "too many values") {
			t.Errorf("%s: %.20q… took %d MB, %v", c.f.Name, c.head, mb, err)
		}
	}
	// A million values, each five levels deep, are no trouble.
	if _, err := JSON.Find([]byte(`{"aaaa":{"bbbb":{"cccc":[[` + times("1,", 1_000_000) + "1]]}}}")); err != nil {
		t.Error(err)
	}
}

func benchmarkFind(b *testing.B, f *Format, line string) {
	var src bytes.Buffer
	json := f == &JSON || f == &JSONC
	if json {
		src.WriteString("{")
	}
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&src, line, i)
		if json && i < n-1 {
			src.WriteString(",\n")
		}
	}
	if json {
		src.WriteString("}")
	}
	b.SetBytes(int64(src.Len()))
	for b.Loop() {
		if spans, err := f.Find(src.Bytes()); err != nil || len(spans) != n {
			b.Fatal(len(spans), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/value")
}

func BenchmarkYAMLFind(b *testing.B)   { benchmarkFind(b, &YAML, "key%d: some value\n") }
func BenchmarkJSONFind(b *testing.B)   { benchmarkFind(b, &JSON, "\"key%d\": \"some value\"") }
func BenchmarkTOMLFind(b *testing.B)   { benchmarkFind(b, &TOML, "key%d = \"some value\"\n") }
func BenchmarkDotenvFind(b *testing.B) { benchmarkFind(b, &Dotenv, "KEY%d=some value\n") }
func BenchmarkINIFind(b *testing.B)    { benchmarkFind(b, &INI, "key%d = some value\n") }
func BenchmarkJSONCFind(b *testing.B)  { benchmarkFind(b, &JSONC, "\"key%d\": \"some value\"") }
