package span

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pathTOML reads a path like a.b[0].c.
func pathTOML(path string) (steps []Step) {
	for _, key := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		if n, ok := strings.CutSuffix(key, "]"); ok {
			i, _ := strconv.Atoi(n)
			steps = append(steps, Step{Kind: List, Index: i})
		} else {
			steps = append(steps, Step{Kind: "str", Key: strings.ReplaceAll(key, "~", ".")})
		}
	}
	return steps
}

func TestTOMLInsert(t *testing.T) {
	for _, c := range []struct{ src, path, want string }{
		{"", "a", "a = 'v'\n"},
		{"", "db.pass", "[db]\npass = 'v'\n"},
		{"", "a.b.c", "[a.b]\nc = 'v'\n"},
		{"", "users[0].name", "[[users]]\nname = 'v'\n"},
		{"", "hosts[0]", "hosts = ['v']\n"},
		{"", "a.hosts[0][0]", "[a]\nhosts = [['v']]\n"},
		{"\xef\xbb\xbf", "a", "\xef\xbb\xbfa = 'v'\n"},
		{"\xef\xbb\xbf# c\n[b]", "a", "\xef\xbb\xbfa = 'v'\n\n# c\n[b]"},
		{"a = 1", "b", "a = 1\nb = 'v'"},
		{"a = 1\r\n", "b", "a = 1\r\nb = 'v'\r\n"},
		{"  a=1 # c\n\n[t]\n", "b", "  a=1 # c\n  b='v'\n\n[t]\n"},
		{"# license\n\n# t\n[t]\nx = 1\n", "a", "# license\n\na = 'v'\n\n# t\n[t]\nx = 1\n"},
		{"# only\n", "a", "# only\na = 'v'\n"},
		{"[t]\nx = 1\n# y = 2\n\n# u\n[u]\n", "t.a", "[t]\nx = 1\na = 'v'\n# y = 2\n\n# u\n[u]\n"},
		{"[t]\n\n[u]\n", "t.a", "[t]\na = 'v'\n\n[u]\n"},
		{"[t]", "t.a~b", "[t]\n\"a.b\" = 'v'"},
		{"[t]\nx = 1\n\n# u\n[u]\n", "t.s.a", "[t]\nx = 1\n\n[t.s]\na = 'v'\n\n# u\n[u]\n"},
		{"[t]\nx = 1", "u.a", "[t]\nx = 1\n\n[u]\na = 'v'"},
		{"[a.b]\nx = 1\n", "a.c", "[a.b]\nx = 1\n\n[a]\nc = 'v'\n"},
		{"a.b.x = 1\na.b.y = 2 # c\nz = 3\n", "a.b.w", "a.b.x = 1\na.b.y = 2 # c\na.b.w = 'v'\nz = 3\n"},
		{"a.b = 1\n", "a.c.d", "a.b = 1\na.c.d = 'v'\n"},
		{"[t]\na.b=1\nc=2\n[t.a.d]\n", "t.a.e", "[t]\na.b=1\na.e='v'\nc=2\n[t.a.d]\n"},
		{"a = {}\n", "a.b", "a = { b = 'v' }\n"},
		{"a = {b = 1} # c\n", "a.c.d", "a = {b = 1, c.d = 'v'} # c\n"},
		{"a = {b.c = 1, d = [2]}\n", "a.b.e", "a = {b.c = 1, b.e = 'v', d = [2]}\n"},
		{"a = [{b = 1}]\n", "a[0].c", "a = [{b = 1, c = 'v'}]\n"},
		{"a = [{b = 1}]\n", "a[1].c", "a = [{b = 1}, { c = 'v' }]\n"},
		{"a = []\n", "a[0]", "a = ['v']\n"},
		{"a = [1, 2]\n", "a[2]", "a = [1, 2, 'v']\n"},
		{"a = [1, 2,]\n", "a[2]", "a = [1, 2, 'v',]\n"},
		{"a = [\n  1, # x\n  2, # y\n]\n", "a[2]", "a = [\n  1, # x\n  2, # y\n  'v',\n]\n"},
		{"a = [\n  1, # x\n  2 # y\n]\n", "a[2]", "a = [\n  1, # x\n  2, # y\n  'v'\n]\n"},
		{"[[s]]\nx = 1\n[s.t]\ny = 1\n\n[[s]]\nx = 2\n\n[z]\n", "s[0].t.w", "[[s]]\nx = 1\n[s.t]\ny = 1\nw = 'v'\n\n[[s]]\nx = 2\n\n[z]\n"},
		{"[[s]]\nx = 1\n\n[[s]]\nx = 2\n\n[z]\n", "s[0].u.w", "[[s]]\nx = 1\n\n[s.u]\nw = 'v'\n\n[[s]]\nx = 2\n\n[z]\n"},
		{"[[s]]\nx = 1\n\n[[s]]\nx = 2\n\n[z]\n", "s[2].x", "[[s]]\nx = 1\n\n[[s]]\nx = 2\n\n[[s]]\nx = 'v'\n\n[z]\n"},
		{"[[s]]\n[[s.t]]\nx = 1\n[[s]]\n", "s[0].t[1].x", "[[s]]\n[[s.t]]\nx = 1\n\n[[s.t]]\nx = 'v'\n\n[[s]]\n"},
		{"[[s]]\nx = 1\n[z]\n[s.u]\ny = 1\n[w]\n", "s[0].v", "[[s]]\nx = 1\nv = 'v'\n[z]\n[s.u]\ny = 1\n[w]\n"},
		{"[[s]]\n", "s[1].a.b", "[[s]]\n\n[[s]]\na.b = 'v'\n"},
	} {
		want := strings.ReplaceAll(c.want, "'v'", `"v"`)
		if got, err := TOML.Insert([]byte(c.src), 0, pathTOML(c.path), "v"); err != nil || string(got) != want {
			t.Errorf("%q: %s gave\n%s(%v), not\n%s", c.src, c.path, got, err, want)
		}
	}
	for _, c := range []struct{ src, path, why string }{
		{"a = 1\n", "a", "already"}, {"a = 1\n", "a.b", "does not fit"}, {"a = 1\n", "a[0]", "does not fit"}, {"[[a]]\n", "a.b", "does not fit"}, {"[a]\n", "a[0]", "does not fit"},
		{"a = [1]\n", "a[2]", "1 elements"}, {"[[a]]\n", "a[1]", "is a table"}, {"[a]\n", "a", "already"}, {"a = [1\n", "b", "expected"}, {"a = 1\n", "\xff", "UTF-8"},
	} {
		var e *Error
		if got, err := TOML.Insert([]byte(c.src), 0, pathTOML(c.path), "v"); !errors.As(err, &e) || !strings.Contains(e.Msg, c.why) {
			t.Errorf("%q: %s gave %q, %v", c.src, c.path, got, err)
		}
	}
}

func TestTOMLDelete(t *testing.T) {
	for _, c := range []struct{ src, path, want string }{
		{"a = 1", "a", ""},
		{"a = 1\nb = 2", "b", "a = 1"},
		{"a = 1\nb = 2\n", "b", "a = 1\n"},
		{"\xef\xbb\xbfa = 1\nb = 2\n", "a", "\xef\xbb\xbfb = 2\n"},
		{"a = 1 # c\r\nb = 2\r\n", "a", "b = 2\r\n"},
		{"a = \"\"\"\nx\n\"\"\"\nb = [\n1\n]\nc = 1\n", "b", "a = \"\"\"\nx\n\"\"\"\nc = 1\n"},
		{"# c\na = 1\n\n[t]\nx = 1\n", "t", "# c\na = 1\n"},
		{"[t]\nx = 1\n# y = 2\n\n[t.u]\nz = 1\n\n# w\n[w]\n", "t", "# w\n[w]\n"},
		{"[t]\nx = 1\n\n# w\n[w]\n", "t.x", "[t]\n\n# w\n[w]\n"},
		{"[t.u]\nx = 1\n[w]\ny = 1\n[t]\nz = 1\n", "t", "[w]\ny = 1\n"},
		{"a.b = 1\nc = 1\na.d.e = 2\n[a.f]\ng = 1\n", "a", "c = 1\n"},
		{"a.b = 1\nc = 1\na.d.e = 2\n", "a.d", "a.b = 1\nc = 1\n"},
		{"a = {b = 1, c = 2, d = 3}\n", "a.b", "a = {c = 2, d = 3}\n"},
		{"a = {b = 1, c = 2, d = 3}\n", "a.c", "a = {b = 1, d = 3}\n"},
		{"a = { b = 1, c = 2, d = 3 }\n", "a.d", "a = { b = 1, c = 2 }\n"},
		{"a = {b.x = 1, c = 2, b.y.z = 3}\n", "a.b", "a = {c = 2}\n"},
		{"a = {b = 1}\n", "a.b", "a = {}\n"},
		{"a = [1, 2, 3]\n", "a[0]", "a = [2, 3]\n"},
		{"a = [1, 2, 3]\n", "a[1]", "a = [1, 3]\n"},
		{"a = [1, 2, 3]\n", "a[2]", "a = [1, 2]\n"},
		{"a = [1, 2, 3,]\n", "a[2]", "a = [1, 2,]\n"},
		{"a = [1]\n", "a[0]", "a = []\n"},
		{"a = [\n  1, # x\n  2,\n  3 # z\n]\n", "a[0]", "a = [\n   # x\n  2,\n  3 # z\n]\n"},
		{"a = [\n  1, # x\n  2,\n  3 # z\n]\n", "a[1]", "a = [\n  1, # x\n  3 # z\n]\n"},
		{"a = [\n  1, # x\n  2,\n  3\n]\n", "a[2]", "a = [\n  1, # x\n  2\n]\n"},
		{"a = [\n  1 # x\n  , 2\n]\n", "a[0]", "a = [\n   # x\n   2\n]\n"},
		{"[[s]]\nx = 1\n\n[[s]]\nx = 2\n[s.t]\ny = 1\n\n[z]\n", "s[1]", "[[s]]\nx = 1\n\n[z]\n"},
		{"[[s]]\nx = 1\n\n[[s]]\nx = 2\n", "s", ""},
		{"[[s]]\nx = 1\n[z]\n[s.t]\ny = 1\n[[s]]\nx = 2\n", "s[0]", "[z]\n[[s]]\nx = 2\n"},
	} {
		if got, err := TOML.Delete([]byte(c.src), 0, pathTOML(c.path)); err != nil || string(got) != c.want {
			t.Errorf("%q: without %s gave\n%q (%v), not\n%q", c.src, c.path, got, err, c.want)
		}
	}
	for _, path := range []string{"b", "a.b", "a[0]", "t[0]", "t.x.y"} {
		if got, err := TOML.Delete([]byte("a = 1\n[t]\nx = 1\n"), 0, pathTOML(path)); err == nil {
			t.Errorf("without %s gave %q", path, got)
		}
	}
}

func TestTOMLQuote(t *testing.T) {
	for _, c := range []struct{ old, text, want string }{
		{`"x"`, "a\"\\\n\t\x00\x7fé", `"a\"\\\n\t\u0000\u007fé"`},
		{`'x'`, `a\b "c"`, `'a\b "c"'`}, {`'x'`, "it's", `"it's"`}, {`'x'`, "a\tb", "'a\tb'"}, {`'x'`, "a\nb", `"a\nb"`},
		{`"""x"""`, "a\n\"b\"", "\"\"\"a\n\\\"b\\\"\"\"\""}, {"\"\"\"\nx\"\"\"", "a\r\n\tb", "\"\"\"\na\\r\n\tb\"\"\""}, {`"""x"""`, "\na", "\"\"\"\n\na\"\"\""},
		{`'''x'''`, "a\n'b", "'''a\n'b'''"}, {`'''x'''`, "a'", `"""a'"""`}, {"'''\nx'''", "a\n", "'''\na\n'''"}, {`'''x'''`, "a\x01", `"""a\u0001"""`},
		{"1", "2", "2"}, {"1", "-inf", "-inf"}, {"1", "x", `"x"`}, {"1", "", `""`}, {"1", "2 # c", `"2 # c"`}, {"1", "9223372036854775808", `"9223372036854775808"`}, {"true", "false", "false"},
		{"1979-05-27", "1980-01-01 00:00:00", "1980-01-01 00:00:00"}, {"07:32:00", "noon", `"noon"`}, {`"1"`, "2", `"2"`}, {"[]", "1", `"1"`}, {"{}", "1", `"1"`},
	} {
		src := []byte("a = " + c.old + "\n")
		spans, err := TOML.Find(src)
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := TOML.Quote(c.text, src, spans[0])
		if err != nil || string(quoted) != c.want {
			t.Errorf("%s: %q is written %s (%v), not %s", c.old, c.text, quoted, err, c.want)
			continue
		}
		out := Splice(src, spans, func(int) []byte { return quoted })
		again, err := TOML.Find(out)
		if err != nil || len(again) != 1 {
			t.Fatalf("%q: %v", out, err)
		}
		if text, _ := TOML.Text(out, again[0]); text != c.text {
			t.Errorf("%q reads as %q", out, text)
		}
		agree(t, out)
	}
}

// TestTOMLEdits takes random documents, puts values in and takes them out, and
// compares the data with what it should be.
func TestTOMLEdits(t *testing.T) {
	pieces := []string{"a.b = 1\n", "b = 'x' # c\n", "c = [1, [2], {d = 3}]\n", "c = [\n  1, # x\n  2,\n]\n", "d = {a = 1, b.c = 2, b.d = [ ]}\n", "d = {}\n", "[a]\n", "  [a.b]\n", "[b.c]\n", "[[s]]\n", "[[s.t]]\n", "[s.u]\n", "[c]\n", "# c\n", "\n", "a.c.d = 1\n", "t = \"\"\"\n[a]\n\"\"\"\n", "e=1\r\n", "s = [{x = 1}, {}]\n"}
	paths := []string{"a", "a.b", "a.c", "a.c.d", "a.x.y", "b", "b.c", "b.c.d", "c[0]", "c[1]", "c[2]", "c[3]", "c[2].d", "d", "d.a", "d.b", "d.b.c", "d.e", "s", "s[0]", "s[1]", "s[1].a", "s[0].t", "s[0].t[0]", "s[0].t[1].a", "s[0].u.a", "s[0].b", "t", "x", "x.y", "x[0].y", "x.y[0]"}
	r := rand.New(rand.NewPCG(1, 2))
	inserted, deleted := 0, 0
	for range 30_000 {
		var b strings.Builder
		for range 1 + r.IntN(7) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		src := []byte(strings.TrimSuffix(b.String(), []string{"\n", ""}[r.IntN(2)]))
		path := pathTOML(paths[r.IntN(len(paths))])
		if _, err := TOML.Find(src); err != nil {
			continue
		}
		before := leavesTOML(t, src)
		if out, err := TOML.Insert(src, 0, path, "v"); err == nil {
			inserted++
			agree(t, out)
			want := append(slices.Clone(before), fmt.Sprint(path)+" v")
			if got := leavesTOML(t, out); !slices.Equal(sorted(want), sorted(got)) && !slices.Equal(sorted(without(want, "[]", "{}")), sorted(without(got, "[]", "{}"))) {
				t.Fatalf("%q with %v became %q: %v", src, path, out, got)
			}
		}
		if out, err := TOML.Delete(src, 0, path); err == nil {
			deleted++
			if _, err := TOML.Find(out); err != nil {
				t.Fatalf("%q without %v became %q: %v", src, path, out, err)
			}
			agree(t, out)
			checkDeleted(t, src, out, path)
		}
	}
	if inserted < 10_000 || deleted < 1_500 {
		t.Errorf("only %d values put in, and %d taken out", inserted, deleted)
	}
}

// leavesTOML lists the values of a document with their paths.
func leavesTOML(t *testing.T, src []byte) (list []string) {
	t.Helper()
	spans, err := TOML.Find(src)
	if err != nil {
		t.Fatalf("%q: %v", src, err)
	}
	for _, s := range spans {
		if s.Kind == Value {
			text, _ := TOML.Text(src, s)
			list = append(list, fmt.Sprint(s.Path)+" "+text)
		}
	}
	return list
}

func sorted(list []string) []string { slices.Sort(list); return list }

func without(list []string, suffixes ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		return slices.ContainsFunc(suffixes, func(x string) bool { return strings.HasSuffix(s, " "+x) })
	})
}

// checkDeleted: the values that are left are those not at or below path;
// elements behind a deleted one move up.
func checkDeleted(t *testing.T, src, out []byte, path []Step) {
	t.Helper()
	spans, _ := TOML.Find(src)
	var want []string
	for _, s := range spans {
		if s.Kind != Value {
			continue
		}
		within, moved := len(s.Path) >= len(path), slices.Clone(s.Path)
		for i := range path {
			within = within && s.Path[i] == path[i]
		}
		if n := len(path) - 1; path[n].Kind == List && len(s.Path) > n && slices.Equal(s.Path[:n], path[:n]) && s.Path[n].Index > path[n].Index {
			moved[n].Index--
		}
		if !within {
			text, _ := TOML.Text(src, s)
			want = append(want, fmt.Sprint(moved)+" "+text)
		}
	}
	got := without(leavesTOML(t, out), "[]", "{}")
	if want = without(want, "[]", "{}"); !slices.Equal(want, got) {
		t.Fatalf("%q without %v became %q:\n%v, not\n%v", src, path, out, got, want)
	}
}
