package leafseal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// testdata/vectors is for other implementations; its README says how to read
// it. These vectors are part of the format: -write-vectors adds what is
// missing and never changes one that is there.
var writeVectors = flag.Bool("write-vectors", false, "add missing files to testdata/vectors")

const vectorDir = "../../testdata/vectors"

var outcomes = map[string]error{
	"success":       nil,
	"tampered":      leafseal.ErrTampered,
	"not encrypted": leafseal.ErrNotEncrypted,
	"no identity":   leafseal.ErrNoIdentity,
}

type vector struct {
	header map[string]string
	file   string
}

func readVector(t *testing.T, path string) vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, file, ok := strings.Cut(string(data), "\n\n")
	v := vector{map[string]string{}, file}
	for line := range strings.Lines(head + "\n") {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		ok = ok && found && v.header[name] == ""
		v.header[name] = value
	}
	if _, known := outcomes[v.header["expect"]]; !ok || !known {
		t.Fatalf("%s: not a vector", path)
	}
	return v
}

func TestVectors(t *testing.T) {
	if *writeVectors {
		makeVectors(t)
	}
	paths, err := filepath.Glob(vectorDir + "/*.vector")
	if err != nil || len(paths) < 40 {
		t.Fatalf("only %d vectors: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".vector"), func(t *testing.T) {
			v := readVector(t, path)
			ids, err := age.ParseIdentities(strings.NewReader(v.header["identity"]))
			if err != nil {
				t.Fatal(err)
			}
			o := leafseal.Options{Name: v.header["name"], Format: v.header["format"]}
			f, err := leafseal.Open([]byte(v.file), o, ids...)
			if want := outcomes[v.header["expect"]]; want != nil {
				if !errors.Is(err, want) {
					t.Fatalf("%v, not %q (%s)", err, v.header["expect"], v.header["reason"])
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			plain, err := base64.StdEncoding.DecodeString(v.header["plaintext"])
			if err != nil || !bytes.Equal(f.Plaintext(), plain) {
				t.Fatalf("opened to %q", f.Plaintext())
			}
			if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(v.file))); sum != v.header["sha256"] {
				t.Fatalf("the file was changed: %s", sum)
			}
			// Encryption is deterministic under the data key: by way of
			// another text, the same text gives the same bytes.
			if err := f.Edit(append(bytes.Clone(plain), '\n')); err != nil {
				t.Skipf("no other text at hand: %v", err)
			}
			if err := f.Edit(plain); err != nil || string(f.Bytes()) != v.file {
				t.Fatalf("sealed again it is\n%s(%v)", f.Bytes(), err)
			}
		})
	}
}

func addVector(t *testing.T, name string, header []string, file string) {
	t.Helper()
	path := filepath.Join(vectorDir, name+".vector")
	if _, err := os.Stat(path); err == nil {
		return
	}
	if err := os.WriteFile(path, []byte(strings.Join(header, "\n")+"\n\n"+file), 0o644); err != nil {
		t.Fatal(err)
	}
}

const vectorKey = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX" // bytes 0x42

func makeVectors(t *testing.T) {
	id, err := age.ParseX25519Identity(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	me := leafseal.Reader{Name: "alice", Key: id.Recipient().String()}
	sealed := map[string]string{}
	good := func(label, name, plain string, o leafseal.Options) {
		o.Name = name
		if o.Readers == nil {
			o.Readers = []leafseal.Reader{me}
		}
		out, err := leafseal.Encrypt([]byte(plain), o)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		header := []string{"expect: success", "name: " + name}
		if o.Format != "" {
			header = append(header, "format: "+o.Format)
		}
		sealed[label] = string(out)
		addVector(t, label, append(header, "identity: "+vectorKey,
			"plaintext: "+base64.StdEncoding.EncodeToString([]byte(plain)), fmt.Sprintf("sha256: %x", sha256.Sum256(out))), string(out))
	}
	const yaml = "# a comment\ndb:\n  host: localhost\n  password: \"hunter2\"\nweb:\n  host: localhost\n  port: 8080\nlist:\n  - name: one\n    key: 1\n  - name: two\n    key: 2\n  - name: two\n    key: 2\n"
	const json = "{\n  \"db\": {\"host\": \"localhost\", \"password\": \"hunter2\"},\n  \"list\": [1, 2, 2, {\"a\": null}],\n  \"empty\": {}\n}\n"
	const env = "# a comment\nexport HOST=localhost\nPASSWORD='hunter2' # another\nPASSWORD=\"hunter3\"\nEMPTY=\n"
	good("yaml", "a.yaml", yaml, leafseal.Options{})
	good("json", "a.json", json, leafseal.Options{})
	good("json-array", "a.json", "[1, \"two\", [3], {\"four\": 4}]", leafseal.Options{})
	good("dotenv", ".env", env, leafseal.Options{})
	const toml = "# a comment\ntitle = 'x'\ndb.host = \"localhost\"\ndb.\"pass word\" = 'hunter2' # another\n\n[web]\nport = 8080\nhosts = [\n  \"a\", # first\n  { b = [1, {}], c.d = 1979-05-27 07:32:00Z },\n]\n\n[[users]]\nname = \"one\"\n# theirs\nkey = 1\n\n[[users]]\nname = \"two\"\n[[users]]\nname = \"two\"\n"
	good("toml", "a.toml", toml, leafseal.Options{})
	good("toml-only", "a.toml", toml, leafseal.Options{Rule: leafseal.Rule{Only: "(?i)pass|key", KeepComments: true}})
	good("toml-apart", "a.toml", "[[a]]\nx = 1\n[[a.b]]\ny = 1\n[l]\nm = [1, 2]\n[a.c]\nz = [1, 2]\n[[a.b]]\ny = 1\n[v]\nw = 1\n[[a]]\nx = 1\n[a.c]\nz = []\n[v.w2]\n[[a]]\n", leafseal.Options{})
	good("toml-strings", "Pipfile", "a = \"\\u00e9\\n\"\nb = 'c:\\d'\nc = \"\"\"\nx \\\n  y\n# no comment\n\"\"\"\"\"\nd = '''\n'e''''\ne = \"\"\n", leafseal.Options{})
	good("toml-crlf", "a.toml", "\ufeffa = 1\r\nb = \"\"\"\r\nx\r\n\"\"\"\r\n[ c . \"d\" ] # e\r\n", leafseal.Options{})
	good("toml-no-newline", "a.toml", "a = 1", leafseal.Options{})
	good("text", "a.txt", "any text\x00\xff\n", leafseal.Options{Format: "text"})
	good("yaml-no-newline", "a.yaml", "a: 1", leafseal.Options{})
	good("json-no-newline", "a.json", "{\"a\":1}", leafseal.Options{})
	good("dotenv-no-newline", ".env", "A=1", leafseal.Options{})
	good("yaml-crlf", "a.yaml", "a: 1\r\nb: |\r\n  x\r\n  y\r\n", leafseal.Options{})
	good("yaml-bom", "a.yaml", "\ufeffa: 1\n", leafseal.Options{})
	good("yaml-documents", "a.yaml", "a: 1\n---\na: 2\n...\n---\n- x\n", leafseal.Options{})
	good("yaml-styles", "a.yaml", "plain: a b\nsingle: 'it''s'\ndouble: \"\\u00e9\\n\"\nliteral: |-\n  x\n   y\nfolded: >\n  x\n  y\nflow: {a: [1, {b: 2}], c: }\nanchor: &x v\nalias: *x\nbase: &m {k: v}\nmerged:\n  <<: *m\nempty:\ntagged: !!str 1\n? complex\n: z\n1: int key\n\"1\": string key\n", leafseal.Options{})
	good("yaml-only", "a.yaml", yaml, leafseal.Options{Rule: leafseal.Rule{Only: "(?i)password|key", Except: "^web", KeepComments: true}})
	good("yaml-whole", "a.yaml", yaml, leafseal.Options{Rule: leafseal.Rule{Whole: true}})
	good("json-duplicates", "a.json", "{\"a\": 1, \"a\": 2, \"b\": 3, \"a\": 1}\n", leafseal.Options{})
	good("padding", "a.yaml", "l0: ''\n"+"l31: "+strings.Repeat("x", 31)+"\nl32: "+strings.Repeat("x", 32)+"\nl511: "+strings.Repeat("x", 511)+"\nl512: "+strings.Repeat("x", 512)+"\nl2000: "+strings.Repeat("x", 2000)+"\n", leafseal.Options{})
	const ini = "; a comment\ntop = 1\n[db] # another\nhost: localhost\npassword = \"hunter2\" ; in it\nlist =\n  one = 1\n\n  two\nempty =\nflag\n[remote \"a b\"]\n\turl = x\n\turl = y\n\tlong = p \\\nq\n"
	const jsonc = "// first\n{\n  \"db\": {\"host\": \"localhost\", /* one */ \"password\": \"hunter2\",},\n  \"list\": [1, 2, 2,], // of numbers\n  \"empty\": {/**/}, // no block: \"leafseal\": [\"v1\"]\n}\n// end"
	good("ini", "a.ini", ini, leafseal.Options{})
	good("ini-only", "a.ini", ini, leafseal.Options{Rule: leafseal.Rule{Only: "password", KeepComments: true}})
	good("ini-crlf-no-newline", "a.cfg", "\ufeff[a]\r\nk = \"x\r\ny\"\r\nl =", leafseal.Options{})
	good("jsonc", "a.jsonc", jsonc, leafseal.Options{})
	good("jsonc-keep-comments", "a.jsonc", jsonc, leafseal.Options{Rule: leafseal.Rule{KeepComments: true}})
	good("jsonc-array", "a.jsonc", "[1, /* two */ 2,]", leafseal.Options{})
	good("jsonc-empty", "tsconfig.json", "{ // nothing\n}", leafseal.Options{})
	ssh, err := agessh.ParseRecipient(vectorSSH)
	if err != nil {
		t.Fatal(err)
	}
	good("two-readers", "a.yaml", yaml, leafseal.Options{Readers: []leafseal.Reader{{Name: "bob", Key: vectorSSH, Recipient: ssh}, me}})
	good("unnamed-reader", "a.yaml", "a: 1\n", leafseal.Options{Readers: []leafseal.Reader{{Key: me.Key}}})
	good("merge-base", "a.yaml", "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n", leafseal.Options{})

	// Two branches change different values; the merge of the ciphertext is a
	// file again. And a rotated file names the one before it.
	edit := func(from, plain string) string {
		f, err := leafseal.Open([]byte(sealed[from]), leafseal.Options{Name: "a.yaml"}, id)
		if err == nil {
			err = f.Edit([]byte(plain))
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(f.Bytes())
	}
	ok := func(label, name, plain, file string) {
		addVector(t, label, []string{"expect: success", "name: " + name, "identity: " + vectorKey,
			"plaintext: " + base64.StdEncoding.EncodeToString([]byte(plain)), fmt.Sprintf("sha256: %x", sha256.Sum256([]byte(file)))}, file)
	}
	ours, theirs := edit("merge-base", "a: 10\nb: 2\nc: 3\nd: 4\ne: 5\n"), edit("merge-base", "a: 1\nb: 2\nc: 3\nd: 40\ne: 5\n")
	ok("merge-ours", "a.yaml", "a: 10\nb: 2\nc: 3\nd: 4\ne: 5\n", ours)
	ok("merge-theirs", "a.yaml", "a: 1\nb: 2\nc: 3\nd: 40\ne: 5\n", theirs)
	merged, clean := gitMerge(t, ours, sealed["merge-base"], theirs)
	if !clean {
		t.Fatal("no clean merge")
	}
	ok("merge-result", "a.yaml", "a: 10\nb: 2\nc: 3\nd: 40\ne: 5\n", merged)
	f, err := leafseal.Open([]byte(sealed["yaml"]), leafseal.Options{Name: "a.yaml"}, id)
	if err == nil {
		err = f.Rotate()
	}
	if err != nil {
		t.Fatal(err)
	}
	ok("rotated", "a.yaml", yaml, string(f.Bytes()))

	bad := func(label, name, expect, reason, file string) {
		if sealed["yaml"] == file {
			t.Fatalf("%s: not changed", label)
		}
		addVector(t, "bad-"+label, []string{"expect: " + expect, "name: " + name, "reason: " + reason, "identity: " + vectorKey}, file)
	}
	y := sealed["yaml"]
	swap := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("no %q in\n%s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
	tokens := tokenRE.FindAllString(y, -1)
	host, pass := tokens[1], tokens[2]
	line := func(s, prefix string) string {
		for l := range strings.Lines(s) {
			if strings.HasPrefix(l, prefix) {
				return l
			}
		}
		t.Fatalf("no line %q", prefix)
		return ""
	}
	bad("renamed-key", "a.yaml", "tampered", "a key was renamed: the token's path is another", swap(y, "password:", "passwort:"))
	bad("swapped-tokens", "a.yaml", "tampered", "two tokens changed places", swap(swap(swap(y, host, "@"), pass, host), "@", pass))
	bad("copied-token", "a.yaml", "tampered", "one token stands twice", swap(y, pass, host))
	bad("moved-entry", "a.yaml", "tampered", "an entry stands in front of its neighbour", swap(swap(y, line(y, "  host: "), ""), line(y, "  password: "), line(y, "  password: ")+line(y, "  host: ")))
	bad("dropped-entry", "a.yaml", "tampered", "an entry was removed", swap(y, line(y, "  password: "), ""))
	bad("added-clear-value", "a.yaml", "tampered", "a value in clear was added", swap(y, "db:\n", "db:\n  debug: true\n"))
	bad("added-clear-comment", "a.yaml", "tampered", "a comment in clear was added", swap(y, "db:\n", "db: # x\n"))
	bad("indented", "a.yaml", "tampered", "white space was added", swap(y, "  host: ", "   host: "))
	bad("clear-value-changed", "a.yaml", "tampered", "a value that the rule leaves in clear was changed", swap(sealed["yaml-only"], "port: 8080", "port: 8081"))
	bad("list-elements-swapped", "a.json", "tampered", "the first two elements of a list changed places", func() string {
		j := sealed["json"]
		all := tokenRE.FindAllString(j, -1)
		return swap(swap(swap(j, all[2], "@"), all[3], all[2]), "@", all[3])
	}())
	bad("token-not-canonical", "a.yaml", "tampered", "unused bits of a token's base64url are set", func() string {
		long := tokenRE.FindAllString(sealed["padding"], -1)[2] // 104 bytes, 2 bits unused
		return swap(sealed["padding"], long, looseBits(t, long))
	}())
	bad("token-quoted", "a.yaml", "tampered", "a token was put in quotes: it is a clear value that holds a token", swap(y, host, `"`+host+`"`))
	bad("token-cut", "a.yaml", "tampered", "a token lost its last character", swap(y, host, host[:len(host)-1]))
	bad("no-block", "a.yaml", "tampered", "tokens without a block", y[:strings.Index(y, "# leafseal:begin")])
	bad("not-encrypted", "a.yaml", "not encrypted", "neither block nor token", yaml)
	bad("empty", "a.yaml", "not encrypted", "an empty file is not a file of this format", "")
	bad("trailing-newline", "a.yaml", "tampered", "something follows the block", y+"\n")
	bad("no-final-newline", "a.yaml", "tampered", "the block's last line has no line break", strings.TrimSuffix(y, "\n"))
	bad("two-blocks", "a.yaml", "tampered", "the block stands twice", y+y[strings.Index(y, "# leafseal:begin"):])
	bad("version", "a.yaml", "tampered", "an unknown version", swap(y, "begin v1", "begin v2"))
	bad("format", "a.yaml", "tampered", "the block names another format than the file has", swap(y, "v1 yaml", "v1 dotenv"))
	bad("unknown-line", "a.yaml", "tampered", "an unknown line in the block", swap(y, "# id ", "# note x\n# id "))
	bad("line-order", "a.yaml", "tampered", "the block's lines are in another order", swap(swap(y, line(y, "# id "), ""), "# key ", line(y, "# id ")+"# key "))
	bad("added-reader", "a.yaml", "tampered", "a to line without a stanza", swap(y, "# key ", line(sealed["two-readers"], "# to bob")+"# key "))
	bad("renamed-reader", "a.yaml", "tampered", "a to line names somebody else", swap(y, "# to alice", "# to mallory"))
	bad("hidden-reader", "a.yaml", "tampered", "the key line has a stanza that no to line names", swap(sealed["two-readers"], line(sealed["two-readers"], "# to bob"), ""))
	bad("other-id", "a.yaml", "tampered", "the id is another file's", swap(y, line(y, "# id "), line(sealed["merge-base"], "# id ")))
	bad("other-seal", "a.yaml", "tampered", "the seal is another file's", swap(y, line(y, "# seal "), line(sealed["merge-base"], "# seal ")))
	bad("other-key", "a.yaml", "tampered", "the key line is another file's", swap(y, line(y, "# key "), line(sealed["merge-base"], "# key ")))
	bad("loosened-rule", "a.yaml", "tampered", "a rule line was added", swap(y, "# id ", "# except \"password\"\n# id "))
	bad("whole-removed", "a.yaml", "tampered", "the whole line was removed", swap(sealed["yaml-whole"], line(sealed["yaml-whole"], "# whole"), ""))
	bad("whole-mixed", "a.yaml", "tampered", "parts of two versions under a whole line", func() string {
		w := sealed["yaml-whole"]
		f, err := leafseal.Open([]byte(w), leafseal.Options{Name: "a.yaml"}, id)
		if err == nil {
			err = f.Edit([]byte(strings.Replace(yaml, "hunter2", "hunter3", 1)))
		}
		if err != nil {
			t.Fatal(err)
		}
		return swap(w, line(w, "  password: "), line(string(f.Bytes()), "  password: "))
	}())
	bad("mixed-files", "a.yaml", "tampered", "a token of another file", swap(y, host, tokenRE.FindString(sealed["merge-base"])))
	bad("crlf", "a.yaml", "tampered", "line endings were converted", strings.ReplaceAll(y, "\n", "\r\n"))
	bad("bom", "a.yaml", "tampered", "a byte order mark was added", "\ufeff"+y)
	bad("json-block-moved", "a.json", "tampered", "the block is not the last member", func() string {
		j := sealed["json"]
		i := strings.LastIndex(j, "\n}")
		return j[:i] + ",\n  \"x\": 1" + j[i:]
	}())
	bad("json-white-space", "a.json", "tampered", "white space was added", swap(sealed["json"], "\"db\": ", "\"db\":  "))
	bad("json-duplicate-added", "a.json", "tampered", "a member stands twice", func() string {
		l := line(sealed["json"], "  \"db\"")
		return swap(sealed["json"], l, l+l)
	}())
	i := sealed["ini"]
	bad("ini-section-renamed", "a.ini", "tampered", "a section was renamed", swap(i, "[db]", "[dc]"))
	bad("ini-continuation", "a.ini", "tampered", "a line was indented: it belongs to the value above", swap(i, "\npassword = ", "\n  password = "))
	bad("ini-clear-continuation", "a.ini", "tampered", "a value that programs take for several keys stands in clear", swap(sealed["ini-only"], "host: localhost", "host: localhost\n  password = x"))
	c := sealed["jsonc"]
	bad("jsonc-comment-added", "a.jsonc", "tampered", "a comment was added", swap(c, "}\n//", "} // x\n//"))
	bad("jsonc-comma-removed", "a.jsonc", "tampered", "the comma behind the last member was removed", swap(c, "], //", "] //"))
	bad("jsonc-block-moved", "a.jsonc", "tampered", "the block stands behind a comment", func() string {
		k := sealed["jsonc-keep-comments"]
		from, to := strings.Index(k, ",\n  \"leafseal\""), strings.Index(k, ", // no block")
		return k[:from] + ", // no block: \"leafseal\": [\"v1\"]" + k[from+1:to] + "\n}\n// end"
	}())
	bad("jsonc-as-json", "a.json", "tampered", "the block says json where comments were allowed", swap(c, "v1 jsonc", "v1 json"))
	tml := sealed["toml"]
	bad("toml-table-renamed", "a.toml", "tampered", "a table was renamed", swap(tml, "[web]", "[www]"))
	bad("toml-header-moved", "a.toml", "tampered", "a value stands in another table", swap(swap(tml, "[web]\n", ""), line(tml, "port = "), line(tml, "port = ")+"[web]\n"))
	bad("toml-empty-table", "a.toml", "tampered", "a table without values was added", swap(tml, "[web]\n", "[empty]\n[web]\n"))
	bad("toml-dotted-key", "a.toml", "tampered", "a dotted key was written as a table: the path is the same, the clear bytes are not", swap(tml, "db.host", "[db]\nhost"))
	bad("toml-elements-swapped", "a.toml", "tampered", "two tables of an array changed places", func() string {
		all := tokenRE.FindAllString(tml, -1)
		first, second := all[len(all)-5], all[len(all)-2]
		return swap(swap(swap(tml, first, "@"), second, first), "@", second)
	}())
	bad("toml-element-dropped", "a.toml", "tampered", "a table of an array was removed", func() string {
		last := strings.LastIndex(tml, "[[users]]")
		return tml[:last] + tml[strings.Index(tml, "# leafseal:begin"):]
	}())
	bad("toml-literal", "a.toml", "tampered", "a token in single quotes: it is a clear value that holds a token", func() string {
		token := tokenRE.FindAllString(tml, -1)[2]
		return swap(tml, `"`+token+`"`, "'"+token+"'")
	}())
	other, err := leafseal.Encrypt([]byte("a: 1\n"), leafseal.Options{Name: "a.yaml", Readers: []leafseal.Reader{{Name: "bob", Key: vectorSSH}}})
	if err != nil {
		t.Fatal(err)
	}
	bad("no-identity", "a.yaml", "no identity", "the identity is none of the readers", string(other))
}

const vectorSSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC1og2fIorFZnzqylVBAb/pGU9RNbBoxTFPxgGmaqF1e"

// looseBits sets bits of a token's last character that stand for nothing.
func looseBits(t *testing.T, token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	for i := range alphabet {
		other := token[:len(token)-1] + alphabet[i:i+1]
		a, err1 := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "leafseal."))
		b, err2 := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(other, "leafseal."))
		if i != last && err1 == nil && err2 == nil && bytes.Equal(a, b) {
			return other
		}
	}
	t.Fatal("this token has no unused bits")
	return ""
}
