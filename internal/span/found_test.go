package span

import (
	"fmt"
	"strings"
	"testing"
)

// found writes spans as path=source, comments as #source, and ! in front of
// what is sealed under every rule.
func found(src string, spans []Span) string {
	var all []string
	for _, s := range spans {
		var keys []string
		for _, step := range s.Path {
			key := step.Key
			if step.Kind != "str" {
				key = step.Kind + ":" + key
			}
			keys = append(keys, key)
		}
		mark := strings.Join(keys, "/") + "="
		if s.Kind == Comment {
			mark = "#"
		}
		if s.Always {
			mark = "!" + mark
		}
		all = append(all, fmt.Sprintf("%s%q", mark, src[s.Start:s.End]))
	}
	return strings.Join(all, " ")
}

// What exactly is found, or why not, where it matters.
func TestFound(t *testing.T) {
	for _, c := range []struct {
		f         *Format
		src, want string
	}{
		{&INI, "password = abc;def # x \n", `password="abc;def # x"`},
		{&INI, "a:b\nc : d\n[ s ] # t\nk=\n", `a="b" c="d" #"t" s/k=""`},
		{&INI, "[r \"a\\\"]b\"]\n\tu=x\n\tbare\n", `r/sub:a"]b/u="x" !r/sub:a"]b/line:="bare"`},
		{&INI, "[a]b]\nk=v\n", `a]b/k="v"`},
		{&INI, "a = b\n  c\n\n  ; d\n e\n ; f\n", `a="b\n  c\n\n  ; d\n e" #"f"`},
		{&INI, "s3 =\n  a = 1\nb = c\n", `!s3="\n  a = 1" b="c"`},
		{&INI, "  a = b\n  c = d\n e = f\n", `a="b" c="d" e="f"`},
		{&INI, "a = b \\\nc \\\n; d\ne-f \\\n\ng = h\n", `a="b \\\nc \\\n; d\ne-f \\" g="h"`},
		{&INI, "a = b\\\nc \\\nd: e\nf = g\n", `!a="b\\\nc \\\nd: e" f="g"`},
		{&INI, "p = C:\\x\\\nq = r\\\\\ns\n", `p="C:\\x\\" !q="r\\\\" !line:="s"`},
		{&INI, "p = C:\\x\\\n; c\nq = r\ns = t\n", `p="C:\\x\\" #"c" !q="r" s="t"`},
		{&INI, "p = x \\\nQUJD\\\nRA==\nq = r\n", `!p="x \\\nQUJD\\\nRA==" q="r"`},
		{&INI, "  a = \"x\nb = y\"\n c = d\n", `!a="\"x\nb = y\"\n c = d"`},
		{&INI, "  a = x\\\nb: y\n c = d\n", `!a="x\\\nb: y\n c = d"`},
		{&INI, "QUJDREVGR0hJSktMTU5PUFFSUw==\n a = b\nc = d\n", `!line:="QUJDREVGR0hJSktMTU5PUFFSUw==\n a = b" c="d"`},
		{&INI, "a = x \"y\nb = z\"\nc = d\n", `a="x \"y" !b="z\"" c="d"`},
		{&INI, "//h:x y=z\n", `!//h="x y=z"`},
		{&INI, "[a] b = c]\n", "0: a section whose name"},
		{&INI, "[a \"b\"] c = d]\n", "0: a section whose name"},
		{&INI, "a = b\n\u00a0c d = e\n", "6: white space other than"},
		{&INI, "a = b\n\xa0c = d\n", "6: white space other than"},
		{&INI, "a = b\n\fc = d\n", "6: white space other than"},
		{&INI, "a = b \\\nQUJDREVGR0hJSktMTU5PUFFSUw==\n", `!a="b \\\nQUJDREVGR0hJSktMTU5PUFFSUw=="`},
		{&INI, "a = b \\\n\nc\n", `a="b \\" !line:="c"`},
		{&INI, "p = C:\\x\\\n[q]\nr = s\n", `p="C:\\x\\" q/r="s"`},
		{&INI, "a = \"x\ny = z\" ; c\nb='it''s'\n", `!a="\"x\ny = z\" ; c" b="'it''s'"`},
		{&INI, "a = \"C:\\d\\\"\nb = \"\"\nc = \"\"\"x\"\"\"\n", `a="\"C:\\d\\\"" b="\"\"" c="\"\"\"x\"\"\""`},
		{&INI, "//h:1/:_authToken=x\nk:l=m\nh1 u=x p=y\nh2 u=x\n", `//h:1/:_authToken="x" !k="l=m" !h1 u="x p=y" h2 u="x"`},
		{&INI, "QUJDREVGR0hJSktMTU5PUFFSUw==\nQUJD==\nabc=\n", `!line:="QUJDREVGR0hJSktMTU5PUFFSUw==" QUJD="=" abc=""`},
		{&INI, "= v\n!includedir /etc/x\n", `!line:="= v" !line:="!includedir /etc/x"`},
		{&INI, "a = -----BEGIN X-----\n  b=\n  -----END X-----\n", `!a="-----BEGIN X-----\n  b=\n  -----END X-----"`},
		{&INI, "a = -----BEGIN X-----\nb=\n-----END X-----\n", "4: a value of several lines that are not indented"},
		{&INI, "a = -----END X----- -----BEGIN X-----\nb=\n", "4: a value of several lines that are not indented"},
		{&INI, "k\n  log /dev/log local0\n", "4: not an INI file"},
		{&INI, "a = 1\nserver {\n", "6: not an INI file"},
		{&INI, "a = 1\n}\n", "6: not an INI file"},
		{&INI, "a = 1\n\"secret\",\n", "6: not an INI file"},
		{&INI, "[a] k = v\n", "0: a section whose name does not end"},
		{&INI, "a = 'x\nb = y\n", "4: a quote that is never closed"},
		{&INI, "a = x\ry\n", "5: a carriage return"},
		{&INI, "a = \x00\n", "4: not a text file"},
		{&INI, "a = b\r", "5: a carriage return"},

		{&JSONC, "{ // a \r\n \"k\" /* b */ : /** c\n */ 1, \"l\": [ /* d */ ],}// e", `#"a" #"b" #"* c" k="1" l="[ /* d */ ]" #"e"`},
		{&JSONC, "[1, /* // */ [2 //\n,],]", `list:="1" #"//" list:/list:="2"`},
		{&JSONC, "{/* a */} /**/", `#"a"`},
		{&JSONC, "[1,,]", "3: not valid JSON"},
		{&JSONC, "[,]", "1: not valid JSON"},
		{&JSONC, "[1 /* a ]", "3: not valid JSON: the comment has no end"},
		{&JSONC, "[1] // a\rb", "8: a carriage return in a comment"},
		{&JSONC, "{'a': 1}", "1: not valid JSON"},
		{&JSON, "[1,]", "3: not valid JSON"},
		{&JSON, "[1 // a\n]", "3: not valid JSON"},
	} {
		spans, err := c.f.Find([]byte(c.src))
		got := found(c.src, spans)
		if e, ok := err.(*Error); ok {
			got = fmt.Sprintf("%d: %s", e.Offset, e.Msg)
		}
		if err == nil && got != c.want || err != nil && !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q:\n%s, not\n%s", c.f.Name, c.src, got, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for name, want := range map[string]string{
		"app.ini": "ini", "SETUP.CFG": "ini", "my.cnf": "ini", ".my.cnf": "ini", "a/.npmrc": "ini", "x/app.service": "ini", ".aws/credentials": "ini", ".gitconfig": "ini",
		"nginx.conf": "", "config": "", "a.properties": "", "ini": "",
		"a.jsonc": "jsonc", "tsconfig.json": "jsonc", "tsconfig.base.json": "jsonc", "tsconfig-app.json": "jsonc", ".devcontainer.json": "jsonc", "x.code-workspace": "jsonc",
		"settings.json": "json", "mytsconfig.json": "json", "tsconfigs.json": "json", "a.json5": "",
	} {
		got := ""
		if f := ByFile(name); f != nil {
			got = f.Name
		}
		if got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}
