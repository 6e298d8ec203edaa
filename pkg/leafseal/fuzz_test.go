package leafseal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

var fuzzNames = []string{"a.yaml", "a.json", ".env", "a.toml", "a.ini", "a.jsonc"}

// FuzzEncrypt: what is encrypted comes back byte for byte, and changes one
// key's worth when it is edited back and forth.
func FuzzEncrypt(f *testing.F) {
	for path, src := range roundtripFiles(f) {
		for i, name := range fuzzNames {
			if len(src) < 2000 && strings.HasSuffix(path, strings.TrimPrefix(name, "a")) {
				f.Add(byte(i), []byte(src))
			}
		}
	}
	f.Add(byte(0), []byte("a: 1\n"))
	f.Fuzz(func(t *testing.T, which byte, plain []byte) {
		name := fuzzNames[int(which)%len(fuzzNames)]
		sealed, err := leafseal.Encrypt(plain, leafseal.Options{Name: name, Readers: []leafseal.Reader{reader("alice", alice)}})
		if err != nil || len(plain) == 0 {
			if sealed != nil {
				t.Fatalf("bytes beside an error: %v", err)
			}
			return
		}
		file := open(t, name, string(sealed))
		if !bytes.Equal(file.Plaintext(), plain) {
			t.Fatalf("%q came back as %q", plain, file.Plaintext())
		}
		values, err := file.Values()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if got, err := file.Get(v.Path); err == nil && got != v.Text {
				t.Fatalf("%s: %q, listed as %q", v.Path, got, v.Text)
			}
			before := bytes.Clone(file.Bytes())
			if err := file.Set(v.Path, "x y"); err != nil {
				continue // not a place for any text
			}
			if got, err := file.Get(v.Path); err != nil || got != "x y" {
				t.Fatalf("%s was set to %q (%v) in\n%q", v.Path, got, err, file.Plaintext())
			}
			if err := file.Edit(plain); err != nil || !bytes.Equal(file.Bytes(), before) {
				t.Fatalf("edited back, the file is another one (%v)", err)
			}
		}
	})
}

// FuzzOpen: whatever is changed in a file, it is refused, or opens to what it
// held; nothing panics.
func FuzzOpen(f *testing.F) {
	for i, plain := range []string{"a: 1\nb: [x, y]\n# c\n", `{"a": 1, "b": [true]}`, "A=1\nB='x'\n", "a = 1\n[[b]]\nc = [2, {}] # d\n", "a = 1\n[b]\nc = 'x'\n", "{\"a\": 1, // b\n}"} {
		f.Add(byte(i), []byte(encrypt(f, fuzzNames[i], plain)))
	}
	plains := map[string]bool{}
	f.Fuzz(func(t *testing.T, which byte, src []byte) {
		name := fuzzNames[int(which)%len(fuzzNames)]
		file, err := leafseal.Open(src, leafseal.Options{Name: name}, alice)
		if err == nil {
			plains[string(file.Plaintext())] = true
			return
		}
		if !errors.Is(err, leafseal.ErrTampered) && !errors.Is(err, leafseal.ErrNotEncrypted) && !errors.Is(err, leafseal.ErrNoIdentity) {
			t.Fatalf("refused as %v", err)
		}
	})
}

// FuzzPolicy: a policy that is accepted has only readers with valid keys, and
// users can be added to it and removed again.
func FuzzPolicy(f *testing.F) {
	key := alice.Recipient().String()
	f.Add([]byte("users:\n  a: " + key + "\nfiles:\n  - path: '*.yaml'\n    for: [a]\n"))
	f.Add([]byte("users: {a: [" + key + "]}\ngroups: {g: [a]}\nfiles: [{path: x, for: [g], only: a|b, comments: keep, seal: whole, worktree: plain}]\n"))
	f.Add([]byte("users:\n  a: x\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		policy, err := leafseal.ParsePolicy(src)
		if err != nil {
			return
		}
		for i := range policy.Files {
			readers := policy.Readers(&policy.Files[i])
			if len(readers) == 0 {
				t.Fatalf("a rule without readers:\n%s", src)
			}
			for _, r := range readers {
				if _, err := keys.ParseRecipient(r.Key, nil); err != nil {
					t.Fatalf("%s: %v\n%s", r.Name, err, src)
				}
			}
		}
		added, err := leafseal.AddUser(src, "zoe", bob.Recipient().String())
		if err != nil {
			return
		}
		if p, err := leafseal.ParsePolicy(added); err != nil || len(p.Users) != len(policy.Users)+1 {
			t.Fatalf("with one more user it is refused: %v\n%s\n%s", err, src, added)
		}
		removed, err := leafseal.RemoveUser(added, "zoe")
		if err != nil {
			t.Fatalf("the user cannot be removed: %v\n%s", err, added)
		}
		if p, err := leafseal.ParsePolicy(removed); err != nil || len(p.Users) != len(policy.Users) {
			t.Fatalf("%v\n%s", err, removed)
		}
	})
}
