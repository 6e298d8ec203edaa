package seal

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

func testKey(t testing.TB) *Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{7}, DataKeySize), "yaml")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTokenRoundTrip(t *testing.T) {
	k := testKey(t)
	for _, n := range []int{0, 1, 30, 31, 32, 33, 63, 64, 510, 511, 512, 513, 1000, 70000} {
		text := bytes.Repeat([]byte{0x80, 0}, n)[:n]
		token := k.Seal([]byte("ad"), []byte("place"), text)
		o, err := k.Open([]byte("ad"), token)
		if err != nil || !bytes.Equal(o.Text, text) || !k.Check([]byte("ad"), []byte("place"), o) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if k.Check([]byte("ad"), []byte("plac"), o) {
			t.Errorf("%d bytes: another place passes", n)
		}
		if _, err := k.Open([]byte("ae"), token); err != ErrToken {
			t.Errorf("%d bytes: other associated data: %v", n, err)
		}
		if !bytes.Equal(token, k.Seal([]byte("ad"), []byte("place"), text)) {
			t.Errorf("%d bytes: not deterministic", n)
		}
	}
}

// Every change of a character of a token is refused, the unused bits of the
// last one included.
func TestTokenIsCanonical(t *testing.T) {
	k := testKey(t)
	for n := range 33 { // lengths with every number of unused bits
		token := k.Seal(nil, nil, make([]byte, n))
		for i := range token {
			for _, c := range []byte("AZaz09-_=.\n\r") {
				if token[i] == c {
					continue
				}
				changed := bytes.Clone(token)
				changed[i] = c
				if _, err := k.Open(nil, changed); err == nil {
					t.Fatalf("byte %d of %d changed to %q opens", i, len(token), c)
				}
				if _, err := k.Open(nil, slices.Insert(bytes.Clone(token), i, c)); err == nil {
					t.Fatalf("with %q at %d of %d it opens", c, i, len(token))
				}
			}
		}
	}
}

func TestBucket(t *testing.T) {
	for _, c := range [][2]int{{1, 32}, {32, 32}, {33, 64}, {512, 512}, {513, 544}, {544, 544}, {545, 576}, {1025, 1088}, {100000, 100352}} {
		if got := bucket(c[0]); got != c[1] {
			t.Errorf("bucket(%d) = %d, want %d", c[0], got, c[1])
		}
	}
	for n := 513; n < 1<<20; n += 97 {
		if b := bucket(n); b < n || float64(b) > 1.12*float64(n) {
			t.Fatalf("bucket(%d) = %d", n, b)
		}
	}
}

func TestUnpad(t *testing.T) {
	for _, bad := range []string{"", "00", "80", "8000", strings.Repeat("00", 32), "80" + strings.Repeat("00", 63), "8001" + strings.Repeat("00", 30)} {
		b, _ := hex.DecodeString(bad)
		if _, ok := unpad(b); ok {
			t.Errorf("padding %s accepted", bad)
		}
	}
}

// Different purposes, formats and data keys give unrelated subkeys.
func TestSubkeysDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, format := range []string{"yaml", "json"} {
		for _, data := range []byte{1, 2} {
			k, err := NewKey(bytes.Repeat([]byte{data}, DataKeySize), format)
			if err != nil {
				t.Fatal(err)
			}
			for name, sub := range map[string][]byte{"id": k.ID(), "seal": k.seal[:16], "next": k.next[:16]} {
				who := fmt.Sprint(name, format, data)
				if other, ok := seen[string(sub)]; ok {
					t.Errorf("%s and %s are the same", who, other)
				}
				seen[string(sub)] = who
			}
		}
	}
	if _, err := NewKey(make([]byte, 31), "yaml"); err == nil {
		t.Error("a short data key is accepted")
	}
}

// enc is injective: moving a byte between neighbours changes it.
func TestEncodingIsInjective(t *testing.T) {
	seen := map[string]string{}
	add := func(what string, enc []byte) {
		if other, ok := seen[string(enc)]; ok {
			t.Errorf("%s and %s have the same encoding", what, other)
		}
		seen[string(enc)] = what
	}
	add("ab,c", Bytes(Bytes(nil, "ab"), "c"))
	add("a,bc", Bytes(Bytes(nil, "a"), "bc"))
	add("abc", Bytes(nil, "abc"))
	add("[ab],c", Bytes(List(nil, Bytes(nil, "ab")), "c"))
	add("[ab,c]", List(nil, Bytes(Bytes(nil, "ab"), "c")))
	add("1", Number(nil, 1))
	add("'\\0\\0\\0\\1'", Bytes(nil, "\x00\x00\x00\x01"))
	add("nothing", nil)
	add("''", Bytes(nil, ""))
	add("[]", List(nil, nil))
}

func block(t testing.TB) *Block {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b := &Block{
		Format:  "yaml",
		Rule:    Rule{Only: "pass word", Except: "x", KeepComments: true, Whole: true},
		ID:      make([]byte, 16),
		PrevID:  make([]byte, 16),
		Readers: []Reader{{"alice", id.Recipient().String()}, {"-", "ssh-ed25519 AAAA"}},
		Seal:    make([]byte, 32),
	}
	if err := b.Wrap(NewDataKey(), []age.Recipient{id.Recipient()}); err != nil {
		t.Fatal(err)
	}
	b.PrevProof, b.NoNewline = make([]byte, 32), true
	return b
}

func TestBlockHasOneEncoding(t *testing.T) {
	lines := block(t).Lines()
	b, err := ParseBlock(lines)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(b.Lines(), "\n"), strings.Join(lines, "\n"); got != want {
		t.Fatalf("came back as\n%s\nnot\n%s", got, want)
	}
	edit := func(what string, f func(l []string) []string) {
		if _, err := ParseBlock(f(append([]string(nil), lines...))); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	edit("nothing", func(l []string) []string { return nil })
	edit("another version", func(l []string) []string { l[0] = "v2 yaml"; return l })
	edit("an unknown line", func(l []string) []string { return append(l, "also this") })
	edit("a line twice", func(l []string) []string { return append(l, l[len(l)-1]) })
	edit("an empty line", func(l []string) []string { return append(l, "") })
	for i := range lines {
		if word, _, _ := strings.Cut(lines[i], " "); word != "only" && word != "except" && word != "to" { // free text
			edit(fmt.Sprintf("line %d with a blank behind", i), func(l []string) []string { l[i] += " "; return l })
		}
		edit(fmt.Sprintf("line %d with a blank before", i), func(l []string) []string { l[i] = " " + l[i]; return l })
		if i > 0 {
			edit(fmt.Sprintf("line %d moved up", i), func(l []string) []string {
				if strings.HasPrefix(l[i], "to ") && strings.HasPrefix(l[i-1], "to ") {
					return nil // another order of readers is another block: the seal tells
				}
				l[i], l[i-1] = l[i-1], l[i]
				return l
			})
		}
	}
}

func TestHeader(t *testing.T) {
	id, _ := age.GenerateX25519Identity()
	other, _ := age.GenerateX25519Identity()
	key := NewDataKey()
	b := new(Block)
	if err := b.Wrap(key, []age.Recipient{id.Recipient(), other.Recipient()}); err != nil {
		t.Fatal(err)
	}
	got, err := b.Unwrap([]age.Identity{id})
	if err != nil || !bytes.Equal(got, key) {
		t.Fatal(err)
	}
	if s, err := b.Stanzas(); err != nil || len(s) != 2 || s[0].Type != "X25519" {
		t.Fatalf("stanzas %v, %v", s, err)
	}
	for _, short := range []int{0, 31, 33} {
		if err := b.Wrap(make([]byte, short), []age.Recipient{id.Recipient()}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Unwrap([]age.Identity{id}); err != ErrHeader {
			t.Errorf("a payload of %d bytes: %v", short, err)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, ok := range []string{"a", "bob@laptop", "ci-1.x_y+z", strings.Repeat("a", 64)} {
		if !ValidName(ok) {
			t.Errorf("%q refused", ok)
		}
	}
	for _, bad := range []string{"", "-", "-x", ".x", "a b", "é", "a\n", strings.Repeat("a", 65)} {
		if ValidName(bad) {
			t.Errorf("%q accepted", bad)
		}
	}
}

func FuzzParseBlock(f *testing.F) {
	lines := block(f).Lines()
	f.Add(strings.Join(lines, "\n"))
	for i := range lines {
		f.Add(strings.Join(append(append([]string(nil), lines[:i]...), lines[i+1:]...), "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		b, err := ParseBlock(lines)
		if err != nil {
			return
		}
		if got := strings.Join(b.Lines(), "\n"); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	})
}

// FuzzToken: a text comes back, at its place alone; what else opens as a token
// is one that Seal writes.
func FuzzToken(f *testing.F) {
	k := testKey(f)
	ad, place := []byte("ad"), []byte("place")
	for _, text := range []string{"", "x", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("\x80\x00", 400)} {
		f.Add(k.Seal(ad, place, []byte(text)), []byte(text), uint(40), byte('A'))
	}
	f.Add([]byte("leafseal."+strings.Repeat("A", 96)), []byte("\x80"), uint(0), byte(0))
	f.Fuzz(func(t *testing.T, token, text []byte, at uint, c byte) {
		if o, err := k.Open(ad, token); err == nil && (!k.Check(ad, place, o) || !bytes.Equal(token, k.Seal(ad, place, o.Text))) {
			t.Fatalf("%q opens", token)
		}
		sealed := k.Seal(ad, place, text)
		o, err := k.Open(ad, sealed)
		if err != nil || !bytes.Equal(o.Text, text) || !k.Check(ad, place, o) || k.Check(ad, append([]byte{c}, place...), o) {
			t.Fatalf("%q came back as %q: %v", text, o.Text, err)
		}
		i := int(at % uint(len(sealed)))
		if sealed[i] == c {
			return
		}
		sealed[i] = c
		if _, err := k.Open(ad, sealed); err == nil {
			t.Fatalf("with byte %d changed to %q it opens", i, c)
		}
	})
}
