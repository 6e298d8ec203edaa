package leafseal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Two people. One has a fixed key, so that failures repeat and fuzz workers
// agree.
var (
	alice = identity(vectorKey)
	bob   = newIdentity()
)

func identity(s string) *age.X25519Identity {
	id, err := age.ParseX25519Identity(s)
	if err != nil {
		panic(err)
	}
	return id
}

func newIdentity() *age.X25519Identity {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return id
}

func reader(name string, id *age.X25519Identity) leafseal.Reader {
	return leafseal.Reader{Name: name, Key: id.Recipient().String()}
}

func encrypt(t testing.TB, name, plain string, rule ...leafseal.Rule) string {
	t.Helper()
	o := leafseal.Options{Name: name, Readers: []leafseal.Reader{reader("alice", alice)}}
	if len(rule) > 0 {
		o.Rule = rule[0]
	}
	sealed, err := leafseal.Encrypt([]byte(plain), o)
	if err != nil {
		t.Fatalf("encrypt %s: %v", name, err)
	}
	return string(sealed)
}

func open(t testing.TB, name, sealed string) *leafseal.File {
	t.Helper()
	f, err := leafseal.Open([]byte(sealed), leafseal.Options{Name: name}, alice)
	if err != nil {
		t.Fatalf("open %s: %v\n%s", name, err, sealed)
	}
	return f
}

// edited is what f's file becomes with another plaintext, under the same data
// key.
func edited(t testing.TB, name, sealed, plain string) string {
	t.Helper()
	f := open(t, name, sealed)
	if err := f.Edit([]byte(plain)); err != nil {
		t.Fatalf("edit %s: %v\n%s", name, err, plain)
	}
	return string(f.Bytes())
}

// refused fails the test unless the bytes are refused as tampered with, or as
// no leafseal file once the block is gone.
func refused(t testing.TB, name, what, sealed string) {
	t.Helper()
	plain, err := leafseal.Decrypt([]byte(sealed), name, alice)
	if err == nil || plain != nil {
		t.Fatalf("%s: %s passes and decrypts to\n%s\nfrom\n%s", name, what, plain, sealed)
	}
	if !errors.Is(err, leafseal.ErrTampered) && !errors.Is(err, leafseal.ErrNotEncrypted) {
		t.Fatalf("%s: %s: %v", name, what, err)
	}
}

// samples is one document per format that has a little of everything.
var samples = map[string]string{
	"a.yaml":  "# note\nhost: db\nempty:\nport: 5432\nlist:\n  - name: ann\n    on: true\n  - name: bob\n    on: true\nuser: x\n",
	"a.json":  "{\n  \"host\": \"db\",\n  \"port\": 5432,\n  \"list\": [{\"n\": \"ann\", \"on\": true}, {\"n\": \"bob\", \"on\": true}],\n  \"user\": \"x\"\n}\n",
	"b.json":  "[1, {\"a\": null}]",
	"a.ini":   "; note\nroot = 1\n[db]\nhost = db\nport: 5432\npassword = 'a b' ; old\nempty =\nflag\n[remote \"x\"]\n\turl = a\n\turl = b\n\tlist =\n\t\tone = 1\n\t\ttwo\n",
	"a.jsonc": "{\n  // note\n  \"host\": \"db\", /* x */\n  \"list\": [{\"n\": \"ann\", \"on\": true}, {\"n\": \"bob\", \"on\": true},], // of it\n  \"user\": \"x\", // last\n}\n// end",
	"a.env":   "# note\nexport HOST=db\nPASS='a b' # old\nEMPTY=\nUSER=x\nUSER=y\n",
	"a.toml":  "# note\nhost = 'db'\n[[s]]\nn = \"ann\"\non = true\n[[s]]\nn = \"ann\"\n[x]\nl = [1, {a.b = 1}] # old\n[s.t]\nd = 07:32:00\n[y]\nuser = \"\"\"\nx\"\"\"\n",
}

func roundtripFiles(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := "../../testdata/roundtrip"
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files to round-trip, %v", len(files), err)
	}
	return files
}

func lineCount(a, b string) (changed int) {
	count := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		count[l]++
	}
	for _, l := range strings.Split(b, "\n") {
		if count[l]--; count[l] < 0 {
			changed++
		}
	}
	return changed
}
