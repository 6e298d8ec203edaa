package leafseal_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// decrypt(encrypt(x)) == x for every file there is, or a refusal with a place.
func TestRoundTrip(t *testing.T) {
	formats := []string{"", "text"}
	for name, plain := range roundtripFiles(t) {
		for _, format := range formats {
			o := leafseal.Options{Name: name, Format: format, Readers: []leafseal.Reader{reader("alice", alice)}}
			sealed, err := leafseal.Encrypt([]byte(plain), o)
			var refusal *leafseal.Error
			if errors.As(err, &refusal) {
				if format == "text" {
					t.Errorf("%s: refused as text: %v", name, err)
				} else if refusal.Line == 0 && !strings.Contains(err.Error(), "format") {
					t.Errorf("%s: refused without a place: %v", name, err)
				}
				continue
			}
			if plain == "" {
				if len(sealed) > 0 {
					t.Errorf("%s: empty became %q", name, sealed)
				}
				continue
			}
			f, err := leafseal.Open(sealed, o, alice)
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, sealed)
				continue
			}
			if got := string(f.Plaintext()); got != plain {
				t.Errorf("%s: came back as %q, not %q", name, got, plain)
			}
			if err := f.Edit([]byte(plain)); err != nil || !bytes.Equal(f.Bytes(), sealed) {
				t.Errorf("%s: edited without a change, the file changed (%v)", name, err)
			}
		}
	}
}

func TestEmptyStaysEmpty(t *testing.T) {
	sealed, err := leafseal.Encrypt(nil, leafseal.Options{Name: "a.yaml", Readers: []leafseal.Reader{reader("", alice)}})
	if err != nil || len(sealed) != 0 {
		t.Errorf("%q, %v", sealed, err)
	}
	if _, err := leafseal.Decrypt(nil, "a.yaml", alice); !errors.Is(err, leafseal.ErrNotEncrypted) {
		t.Errorf("decrypting nothing: %v", err)
	}
}

func twenty() string {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, "key%d: value%d\n", i, i)
	}
	return b.String()
}

// One value of twenty is one line; the same value is none.
func TestSetChangesOneLine(t *testing.T) {
	sealed := encrypt(t, "a.yaml", twenty())
	f := open(t, "a.yaml", sealed)
	if err := f.Set("key7", "other"); err != nil {
		t.Fatal(err)
	}
	if n := lineCount(sealed, string(f.Bytes())); n != 1 {
		t.Errorf("%d lines changed", n)
	}
	if err := f.Set("key7", "value7"); err != nil {
		t.Fatal(err)
	}
	if string(f.Bytes()) != sealed {
		t.Error("set back, the file is not as it was")
	}
}

func TestGetSetUnset(t *testing.T) {
	cases := []struct{ name, plain, path, text, want string }{
		{"a.yaml", "a: b\n", "a", "c d", "a: c d\n"},
		{"a.yaml", "a: b\n", "a", "true", "a: \"true\"\n"},
		{"a.yaml", "a: 'b'\n", "a", "it's", "a: 'it''s'\n"},
		{"a.yaml", "port: 5432 # db\n", "port", "5433", "port: 5433 # db\n"},
		{"a.yaml", "a:\n  b: c\n", "a.d", "e", "a:\n  b: c\n  d: e\n"},
		{"a.yaml", "a: b\n", "x.k.z", "e", "a: b\nx:\n  k:\n    z: e\n"},
		{"a.yaml", "a:\nb: c\n", "a", "d", "a: d\nb: c\n"},
		{"a.yaml", "l: [a, b]\n", "l[1]", "c", "l: [a, c]\n"},
		{"a.json", `{"a": 1}`, "a", "2", `{"a": 2}`},
		{"a.json", `{"a": "1"}`, "a", "2", `{"a": "2"}`},
		{"a.json", "{\n  \"a\": \"b\"\n}\n", "c", "d\n", "{\n  \"a\": \"b\",\n  \"c\": \"d\\n\"\n}\n"},
		{"a.jsonc", "{\n  \"a\": 1, // x\n}\n", "c", "d", "{\n  \"a\": 1, // x\n  \"c\": \"d\",\n}\n"},
		{"a.jsonc", "{\n  \"a\": 1 // x\n  // y\n}\n", "c", "d", "{\n  \"a\": 1, // x\n  \"c\": \"d\"\n  // y\n}\n"},
		{"a.jsonc", "{\n  \"a\": 1, /* x\n  y */ \"b\": 2, // z\n}\n", "b", "3", "{\n  \"a\": 1, /* x\n  y */ \"b\": 3, // z\n}\n"},
		{"a.jsonc", "{ // x\n}\n", "c.d", "e", "{\n  \"c\": {\n    \"d\": \"e\"\n  } // x\n}\n"},
		{"a.jsonc", "{\"a\":1,}", "c", "d", "{\"a\":1, \"c\": \"d\",}"},
		{"a.ini", "[s]\na = b\n", "s.a", "c d", "[s]\na = c d\n"},
		{"a.ini", "[s]\na = \"b\" ; c\n", "s.a", "d", "[s]\na = d\n"},
		{"a.ini", "[s]\na = \"b\"\nz = 1\n", "s.a", "c;d", "[s]\na = \"c;d\"\nz = 1\n"},
		{"a.ini", "[s]\na=b\n\n[t]\nx = y\n", "s.c", "d e", "[s]\na=b\nc=d e\n\n[t]\nx = y\n"},
		{"a.ini", "[s]\na = b", "s.c", "d", "[s]\na = b\nc = d"},
		{"a.ini", "[s]\na = b\n", "t.c", "d", "[s]\na = b\n\n[t]\nc = d\n"},
		{"a.ini", "[s]\r\na = b\r\n", "c", "d", "c = d\r\n\r\n[s]\r\na = b\r\n"},
		{"a.ini", "[core]\n\tx = 1\n", "remote.origin.url", "u", "[core]\n\tx = 1\n\n[remote \"origin\"]\n\turl = u\n"},
		{"a.ini", "[s]\na = b\nz = 1\n", "s.a", "one\ntwo\n\nthree", "[s]\na = one\n    two\n\n    three\nz = 1\n"},
		{"a.ini", "[s]\na = b\nz = 1\n", "s.a", " c ", "[s]\na = \" c \"\nz = 1\n"},
		{"a.ini", "[s]\na = b\nz = 1\n", "s.a", "", "[s]\na = \nz = 1\n"},
		{"a.ini", "[s]\na =\n", "s.a", "C:\\d", "[s]\na =C:\\d\n"},
		{"a.env", "A=b\nZ=\n", "A", "c d", "A='c d'\nZ=\n"},
		{"a.env", "A=\"b\"\nZ=\n", "A", "$x", "A=\"\\$x\"\nZ=\n"},
		{"a.env", "A=b\n", "B", "c", "A=b\nB=c\n"},
		{"a.yaml", "a: b # c\nz: 1\n", "a", "d", "a: d # c\nz: 1\n"},
		{"a.env", "A=b\nB='x' # c\n", "B", "y", "A=b\nB='y' # c\n"},
		{"a.toml", "a = 'b' # c\nz = 1\n", "a", "d", "a = 'd' # c\nz = 1\n"},
		{"a.toml", "a = 1\n\n[db]\nx = \"\"\n", "db.pass", "p\n", "a = 1\n\n[db]\nx = \"\"\npass = \"p\\n\"\n"},
		{"a.toml", "a.b = true\nz = 1\n", "a.b", "false", "a.b = false\nz = 1\n"},
	}
	for _, c := range cases {
		f := open(t, c.name, encrypt(t, c.name, c.plain))
		if err := f.Set(c.path, c.text); err != nil {
			t.Errorf("%q: set %s: %v", c.plain, c.path, err)
			continue
		}
		if got := string(f.Plaintext()); got != c.want {
			t.Errorf("%q: set %s to %q gave\n%q, not\n%q", c.plain, c.path, c.text, got, c.want)
		}
		again := open(t, c.name, string(f.Bytes()))
		if got, err := again.Get(c.path); err != nil || got != c.text {
			t.Errorf("%q: get %s gave %q, %v", c.plain, c.path, got, err)
		}
		if err := again.Unset(c.path); err != nil {
			t.Errorf("%q: unset %s: %v", c.plain, c.path, err)
		} else if _, err := again.Get(c.path); !errors.Is(err, leafseal.ErrNotFound) && c.path != "l[1]" {
			t.Errorf("%q: still there after unset: %v", c.plain, err)
		}
	}
}

func TestGetErrors(t *testing.T) {
	f := open(t, "a.yaml", encrypt(t, "a.yaml", "db:\n  host: sentinel\n  \"a.b\": sentinel\nl: [sentinel]\n"))
	for path, want := range map[string]string{
		"":         "not a path",
		".":        "not a path",
		"db.":      "not a path",
		"db..host": "not a path",
		"l[x]":     "not a path",
		"db":       "no such value",
		"db.hots":  "no such value",
		"l[1]":     "no such value",
		"@1.db":    "no such value",
	} {
		_, err := f.Get(path)
		if !errors.Is(err, leafseal.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
		var e *leafseal.Error
		if errors.As(err, &e) && strings.Contains(err.Error()+e.Hint, "sentinel") {
			t.Errorf("%q: the error tells a value: %v", path, err)
		}
	}
	if got, err := f.Get(`db."a.b"`); err != nil || got != "sentinel" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReaders(t *testing.T) {
	sealed := encrypt(t, "a.yaml", "a: b\n")
	f := open(t, "a.yaml", sealed)
	id := f.ID()
	if _, err := leafseal.Decrypt([]byte(sealed), "a.yaml", bob); !errors.Is(err, leafseal.ErrNoIdentity) {
		t.Fatalf("bob before he is a reader: %v", err)
	}
	if err := f.SetReaders([]leafseal.Reader{reader("alice", alice), reader("bob", bob)}); err != nil {
		t.Fatal(err)
	}
	if f.ID() != id {
		t.Error("adding a reader made a new data key")
	}
	if n := lineCount(sealed, string(f.Bytes())); n != 3 { // to, key, seal
		t.Errorf("adding a reader changed %d lines", n)
	}
	if _, err := leafseal.Decrypt(f.Bytes(), "a.yaml", bob); err != nil {
		t.Errorf("bob as a reader: %v", err)
	}
	if err := f.SetReaders([]leafseal.Reader{reader("bob", bob)}); err != nil {
		t.Fatal(err)
	}
	if f.ID() == id {
		t.Error("removing a reader kept the data key")
	}
	if !strings.Contains(string(f.Bytes()), "# prev "+id) {
		t.Error("no proof of continuity")
	}
	if _, err := leafseal.Decrypt(f.Bytes(), "a.yaml", alice); !errors.Is(err, leafseal.ErrNoIdentity) {
		t.Errorf("alice, removed: %v", err)
	}
	if err := f.SetReaders(nil); err == nil {
		t.Error("a file for nobody")
	}
}

// A stanza that the "to" lines do not name, or names in another order.
func TestHiddenReader(t *testing.T) {
	f := open(t, "a.yaml", encrypt(t, "a.yaml", "a: b\n"))
	if err := f.SetReaders([]leafseal.Reader{reader("alice", alice), reader("bob", bob)}); err != nil {
		t.Fatal(err)
	}
	both := strings.SplitAfter(string(f.Bytes()), "\n")
	without := slices.DeleteFunc(both, func(l string) bool { return strings.HasPrefix(l, "# to bob") })
	refused(t, "a.yaml", "a hidden reader", strings.Join(without, ""))
}

// A rule that changes never reveals what was sealed, unless named.
func TestRulesNeverReveal(t *testing.T) {
	const plain = "user: u # note\npassword: p\n"
	f := open(t, "a.yaml", encrypt(t, "a.yaml", plain))
	loose := leafseal.Rule{Only: "password", KeepComments: true}
	if err := f.SetRule(loose); err != nil {
		t.Fatal(err)
	}
	for range 2 { // at once, and for somebody who opens it later
		if s := string(f.Bytes()); strings.Contains(s, "user: u") || strings.Contains(s, "note") {
			t.Fatalf("revealed:\n%s", s)
		}
		f = open(t, "a.yaml", string(f.Bytes()))
		if err := f.Edit([]byte("user: v # other\npassword: p\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.SetRule(loose, "user"); err != nil {
		t.Fatal(err)
	}
	if s := string(f.Bytes()); !strings.Contains(s, "user: v") || strings.Contains(s, "other") {
		t.Errorf("user is to be revealed, the comment not:\n%s", s)
	}
	if err := f.SetRule(loose, leafseal.AllComments); err != nil {
		t.Fatal(err)
	}
	if s := string(f.Bytes()); !strings.Contains(s, "# other") || !strings.Contains(s, "user: v") {
		t.Errorf("comments are to be revealed:\n%s", s)
	}
}

// A comment in a value that the rule leaves in clear is no less sealed than
// one beside it.
func TestCommentInClearValue(t *testing.T) {
	for _, c := range [][2]string{
		{"a.toml", "hosts = [ # note\n]\npassword = 'p'\n"},
		{"a.toml", "hosts = [[], [\n# note\n]]\npassword = 'p'\n"},
		{"a.yaml", "hosts: [ # note\n]\npassword: p\n"},
		{"a.yaml", "hosts: { # note\n}\npassword: p\n"},
		{"a.yaml", "hosts: | # note\n  u\npassword: p\n"},
		{"a.env", "HOSTS=u # note\nPASSWORD=p\n"},
		{"a.env", "HOSTS= # note\nPASSWORD=p\n"},
		{"a.env", "HOSTS='u'v # note\nPASSWORD=p\n"},
		{"a.jsonc", "{\"hosts\": [ // note\n], \"password\": 1}\n"},
		{"a.ini", "hosts = u ; note\npassword = p\n"},
		{"a.ini", "hosts =\n  # note\n  u\npassword = p\n"},
	} {
		rule := leafseal.Rule{Only: "(?i)password"}
		if s := encrypt(t, c[0], c[1], rule); strings.Contains(s, "note") {
			t.Errorf("in clear:\n%s", s)
		}
		f := open(t, c[0], encrypt(t, c[0], strings.Replace(c[1], "note", "", 1), rule))
		if err := f.Edit([]byte(c[1])); err != nil || strings.Contains(string(f.Bytes()), "note") {
			t.Errorf("in clear once edited (%v):\n%s", err, f.Bytes())
		}
		rule.KeepComments = true
		if s := encrypt(t, c[0], c[1], rule); !strings.Contains(s, "note") {
			t.Errorf("sealed, though comments are kept:\n%s", s)
		}
	}
}

func TestInvalidRuleRefused(t *testing.T) {
	for _, r := range []leafseal.Rule{{Only: "^(pass"}, {Except: "["}, {Only: "a\nb"}} {
		_, err := leafseal.Encrypt([]byte("password: p\n"), leafseal.Options{Name: "a.yaml", Rule: r, Readers: []leafseal.Reader{reader("", alice)}})
		if !errors.Is(err, leafseal.ErrPolicy) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestEncryptedInputRefused(t *testing.T) {
	sealed := encrypt(t, "a.yaml", "a: b\n")
	for what, plain := range map[string]string{
		"a file":             sealed,
		"a token":            "x: " + tokenRE.FindString(sealed) + "\n",
		"a token in a key":   tokenRE.FindString(sealed) + ": x\n",
		"a token in a value": "x: see " + tokenRE.FindString(sealed) + "\n",
	} {
		_, err := leafseal.Encrypt([]byte(plain), leafseal.Options{Name: "a.yaml", Rule: leafseal.Rule{Only: "^no$"}, Readers: []leafseal.Reader{reader("", alice)}})
		if !errors.Is(err, leafseal.ErrEncrypted) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A mark of a block in a value makes plain text look encrypted: it is refused,
// and the message says where and why.
func TestMarkInPlaintext(t *testing.T) {
	for _, c := range []struct{ name, plain, where string }{
		{"a.toml", "a = 1\nb = \"\"\"\nx\n# leafseal:end\n\"\"\"\n", "a.toml:4:1: "},
		{"a.toml", "a = 1\nb = \"\"\"\n# leafseal:begin v1 toml\n\"\"\"\n", "a.toml:3:1: "},
		{"a.env", "A='\n# leafseal:begin x\n'\n", "a.env:2:1: "},
		{"a.yaml", "a: 1\n# leafseal:end\n", "a.yaml:2:1: "},
	} {
		_, err := leafseal.Encrypt([]byte(c.plain), leafseal.Options{Name: c.name, Readers: []leafseal.Reader{reader("", alice)}})
		var e *leafseal.Error
		if !errors.Is(err, leafseal.ErrEncrypted) || !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.where) || !strings.Contains(e.Hint, "in plain text") {
			t.Errorf("%q: %v", c.plain, err)
		}
		if _, err := leafseal.Inspect([]byte(c.plain), leafseal.Options{Name: c.name}); !errors.Is(err, leafseal.ErrTampered) {
			t.Errorf("%q: read as encrypted: %v", c.plain, err)
		}
	}
}

func TestReseal(t *testing.T) {
	const plain = "a: 1\nb: 2\nempty:\n# note\nc: 3\n"
	sealed := encrypt(t, "a.yaml", plain)
	changed := strings.Replace(sealed, "b:", "renamed:", 1)
	refused(t, "a.yaml", "a renamed key", changed)
	f, paths, err := leafseal.Reseal([]byte(changed), leafseal.Options{Name: "a.yaml"}, alice)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(plain, "b:", "renamed:", 1); string(f.Plaintext()) != want {
		t.Errorf("resealed to %q", f.Plaintext())
	}
	if strings.Join(paths, " ") != "a renamed empty c" {
		t.Errorf("opened %q", paths)
	}
	open(t, "a.yaml", string(f.Bytes()))
	// What it opened it seals, though the rule would leave it in clear.
	k := encrypt(t, "a.yaml", "secret: s\nx: 1\n", leafseal.Rule{Only: "secret"})
	f, _, err = leafseal.Reseal([]byte(strings.Replace(k, "x: 1", "x: "+tokenRE.FindString(k), 1)), leafseal.Options{Name: "a.yaml"}, alice)
	if err != nil {
		t.Fatal(err)
	}
	if len(tokenRE.FindAllString(string(f.Bytes()), -1)) != 2 {
		t.Errorf("a token was revealed by reseal:\n%s", f.Bytes())
	}
}

func TestInspectNeedsNoKey(t *testing.T) {
	info, err := leafseal.Inspect([]byte(encrypt(t, "a.yaml", "a: 1\nb: [x]\n", leafseal.Rule{Only: "^a$"})), leafseal.Options{Name: "a.yaml"})
	if err != nil || len(info.Values) != 2 || info.Values[0] != (leafseal.Value{Path: "a", Sealed: true}) || info.Values[1] != (leafseal.Value{Path: "b[0]"}) {
		t.Errorf("%+v, %v", info, err)
	}
}

// Errors never hold a byte of a value.
func TestErrorsAreSilentAboutValues(t *testing.T) {
	bad := map[string][]string{
		"a.yaml":  {"a: sentinel\n  b: c: sentinel\n", "a: \"sentinel\n", "a: sentinel\na: sentinel\n", "a: *sentinel\n", "a: [sentinel\n", "%FOO sentinel\n--- @sentinel", "a: |9\n sentinel", "k: !<sentinel x"},
		"a.json":  {`{"a": sentinel}`, `{"a": "sentinel`, `{"a": "sentinel"} sentinel`, `{"a": "sentinel\q"}`, `"sentinel"`},
		"a.ini":   {"a = \"sentinel\n", "[sentinel\n", "sentinel sentinel\n", "a=\x00sentinel", "a = -----BEGIN X-----\nsentinel\n", "a = sentinel\rb = c\n", "[a] sentinel = x\n", "sentinel {\n"},
		"a.jsonc": {"{\"a\": 1 // sentinel\rx}", "{/* sentinel", `{"a": sentinel}`, `{"a": 1, /*sentinel*/ , "b": 2}`},
		"a.env":   {"A='sentinel\n", "A=\x00sentinel\n", "A=-----BEGIN sentinel\nB=sentinel"},
		"a.toml":  {"a = sentinel", "a = \"sentinel", "a = \"\"\"\nsentinel", "a = 'sentinel'\na = 'sentinel'\n", "a = 'x' sentinel", "a = \"sentinel\\q\"", "a = ['sentinel' 'sentinel']", "# sentinel\x01", "a = {b = 'sentinel'", "[a]\nb = 'sentinel'\n[a]"},
	}
	for _, mark := range []string{"begin sentinel", "begin v1 sentinel", "begin v1 toml\n# sentinel", "begin v1 toml\n# id sentinel", "begin v1 toml\n# to sentinel", "begin v1 toml\nsentinel", "end\nsentinel"} {
		bad["a.toml"] = append(bad["a.toml"], "a = '''\n# leafseal:"+mark+"\n'''\n")
		bad["a.env"] = append(bad["a.env"], "A='\n# leafseal:"+mark+"\n'\n")
	}
	for name, list := range bad {
		for _, plain := range list {
			_, asSealed := leafseal.Decrypt([]byte(plain), name, alice)
			_, looked := leafseal.Inspect([]byte(plain), leafseal.Options{Name: name})
			if asSealed == nil || looked == nil || strings.Contains(fmt.Sprint(asSealed, looked), "sentinel") {
				t.Errorf("%q, read as encrypted: %v, %v", plain, asSealed, looked)
			}
			_, err := leafseal.Encrypt([]byte(plain), leafseal.Options{Name: name, Readers: []leafseal.Reader{reader("", alice)}})
			var e *leafseal.Error
			if !errors.As(err, &e) {
				t.Errorf("%q: %v", plain, err)
				continue
			}
			if strings.Contains(fmt.Sprintf("%+v %#v %s", e, e, e.Hint), "sentinel") {
				t.Errorf("%q: the error tells it: %v", plain, err)
			}
			if e.Line == 0 {
				t.Errorf("%q: no place: %v", plain, err)
			}
		}
	}
}

func TestIdentityErrors(t *testing.T) {
	sealed := []byte(encrypt(t, "a.yaml", "a: b\n"))
	for what, ids := range map[string][]age.Identity{"none": nil, "a wrong one": {bob}} {
		_, err := leafseal.Decrypt(sealed, "a.yaml", ids...)
		var e *leafseal.Error
		if !errors.Is(err, leafseal.ErrNoIdentity) || !errors.As(err, &e) || !strings.Contains(e.Hint, "alice") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
