package leafseal_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Every change of one byte, every lost byte, every added one and every cut is
// refused.
func TestEveryByte(t *testing.T) {
	for name, plain := range samples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed := encrypt(t, name, plain)
			if got := string(open(t, name, sealed).Plaintext()); got != plain {
				t.Fatalf("came back as %q", got)
			}
			for i := 0; i < len(sealed); i++ {
				before, b, after := sealed[:i], sealed[i], sealed[i+1:]
				for _, c := range []byte{b ^ 1, b ^ 0x20, b ^ 0x80, ' ', '\n', 'A', '#', '"'} {
					if c != b {
						refused(t, name, fmt.Sprintf("byte %d %q→%q", i, b, c), before+string([]byte{c})+after)
					}
				}
				refused(t, name, fmt.Sprintf("without byte %d", i), before+after)
				refused(t, name, fmt.Sprintf("cut at %d", i), before)
				for _, c := range []byte{b, ' ', '\n', '#', 'A'} {
					refused(t, name, fmt.Sprintf("%q added at %d", c, i), before+string([]byte{c})+sealed[i:])
				}
			}
			for _, tail := range []string{" ", "\n", "#", "\n\n", "a: b\n", "# x\n", "\r\n"} {
				refused(t, name, "added at the end", sealed+tail)
			}
		})
	}
}

var tokenRE = regexp.MustCompile(`leafseal\.[A-Za-z0-9_-]{90,}`)

// Tokens and lines in any other order are refused.
func TestMovedTokensAndLines(t *testing.T) {
	for name, plain := range samples {
		sealed := encrypt(t, name, plain)
		at := tokenRE.FindAllStringIndex(sealed, -1)
		for i := range at {
			for j := i + 1; j < len(at); j++ {
				a, b := sealed[at[i][0]:at[i][1]], sealed[at[j][0]:at[j][1]]
				refused(t, name, "two tokens swapped", sealed[:at[i][0]]+b+sealed[at[i][1]:at[j][0]]+a+sealed[at[j][1]:])
				refused(t, name, "one token twice", sealed[:at[j][0]]+a+sealed[at[j][1]:])
			}
		}
		lines := strings.SplitAfter(sealed, "\n")
		for i := range lines {
			without := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
			if lines[i] == "" {
				continue
			}
			refused(t, name, "a line removed", without)
			refused(t, name, "a line twice", strings.Join(lines[:i+1], "")+strings.Join(lines[i:], ""))
			rest := append(append([]string(nil), lines[:i]...), lines[i+1:]...)
			for j := range rest {
				moved := strings.Join(rest[:j], "") + lines[i] + strings.Join(rest[j:], "")
				if moved != sealed {
					refused(t, name, "a line moved", moved)
				}
			}
		}
	}
}

func body(sealed string) string  { b, _, _ := cutBlock(sealed); return b }
func block(sealed string) string { _, b, _ := cutBlock(sealed); return b }

func cutBlock(sealed string) (body, block string, ok bool) {
	i := strings.LastIndex(sealed, "# leafseal:begin")
	if i < 0 {
		return "", "", false
	}
	return sealed[:i], sealed[i:], true
}

// What several versions and copies of a file, with other readers, rules and
// keys, offer to somebody who can only copy and paste.
func TestMixingVersions(t *testing.T) {
	const name = "a.yaml"
	const plain = "db:\n  host: h\n  password: p\nweb:\n  host: h\n  password: p\n  \"8080\": q\n"
	v1 := encrypt(t, name, plain)
	v2 := edited(t, name, v1, strings.Replace(plain, "password: p", "password: new", 1))
	copied := encrypt(t, name, plain)

	withBob := open(t, name, v1)
	if err := withBob.SetReaders([]leafseal.Reader{reader("alice", alice), reader("bob", bob)}); err != nil {
		t.Fatal(err)
	}
	rotated := open(t, name, v1)
	if err := rotated.Rotate(); err != nil {
		t.Fatal(err)
	}
	only := open(t, name, v1)
	if err := only.SetRule(leafseal.Rule{Only: "password"}, "db.host", "web.host", `web.8080`); err != nil {
		t.Fatal(err)
	}
	whole := open(t, name, v1)
	if err := whole.SetRule(leafseal.Rule{Whole: true}); err != nil {
		t.Fatal(err)
	}

	// A rule that leaves more in clear, from another version, on a body
	// sealed without it; and the other way round.
	refused(t, name, "the block of a looser rule", body(v1)+block(string(only.Bytes())))
	refused(t, name, "the block of a stricter rule", body(string(only.Bytes()))+block(v1))
	refused(t, name, "the block without whole", body(string(whole.Bytes()))+block(v1))
	refused(t, name, "the block with whole", body(v1)+block(string(whole.Bytes())))
	// Copies and rotations share nothing.
	refused(t, name, "the block of a copy", body(v1)+block(copied))
	refused(t, name, "the block before a rotation", body(string(rotated.Bytes()))+block(v1))
	refused(t, name, "the block after a rotation", body(v1)+block(string(rotated.Bytes())))
	// Lines of the block from another version with the same key.
	b1, b2 := strings.SplitAfter(block(v1), "\n"), strings.SplitAfter(block(string(withBob.Bytes())), "\n")
	for i := range b1 {
		for j := range b2 {
			mixed := strings.Join(b1[:i], "") + b2[j] + strings.Join(b1[i+1:], "")
			if mixed != block(v1) {
				refused(t, name, fmt.Sprintf("block line %d from a version with another reader", i), body(v1)+mixed)
			}
		}
	}
	refused(t, name, "two blocks", v1+block(v2))
	refused(t, name, "a block between", body(v1)+block(v1)+block(v1))

	for what, change := range map[string][2]string{
		"a key renamed":         {"host:", "hosts:"},
		"a key requoted":        {`"8080":`, "8080:"},
		"a parent renamed":      {"web:", "www:"},
		"values under a parent": {"web:\n", "web2:\n  x:\n"},
		"a key quoted":          {"db:", `"db":`},
		"a blank":               {"  host", "   host"},
		"a comment":             {"db:", "db: # x"},
		"an anchor":             {"db:", "db: &a"},
		"a tag":                 {"host: ", "host: !!str "},
		"a clear key":           {"db:\n", "db:\n  extra: x\n"},
	} {
		for n := 1; n <= 2; n++ {
			if changed := strings.Replace(v1, change[0], change[1], n); changed != v1 {
				refused(t, name, what, changed)
			}
		}
	}

	// Clear values moved under another parent, each segment as it stood.
	const clear = "a:\n  x: 1\n  secret: s\nb:\n  y: 2\n  secret: s\n"
	k := encrypt(t, name, clear, leafseal.Rule{Only: "secret"})
	refused(t, name, "a clear value moved to another parent", strings.Replace(strings.Replace(k, "  x: 1\n", "", 1), "  y: 2\n", "  y: 2\n  x: 1\n", 1))
	refused(t, name, "a clear value indented", strings.Replace(k, "  y: 2", "y: 2", 1))
	// A token under a key that stays in clear: it must never be opened there.
	tok := tokenRE.FindString(k)
	refused(t, name, "a token under a clear key", strings.Replace(k, "x: 1", "x: "+tok, 1))
	refused(t, name, "a token in a clear comment", strings.Replace(k, "x: 1", "x: 1 # "+tok, 1))

	// The limit that the design states: a value set back to an older one
	// passes, and only that.
	old, new := strings.SplitAfter(v1, "\n"), strings.SplitAfter(v2, "\n")
	changed := 0
	for i := range old {
		if old[i] != new[i] {
			changed++
			back := strings.Join(new[:i], "") + old[i] + strings.Join(new[i+1:], "")
			if got := string(open(t, name, back).Plaintext()); got != plain {
				t.Errorf("set back to %q", got)
			}
		}
	}
	if changed != 1 {
		t.Errorf("one value changed %d lines", changed)
	}
	w2 := edited(t, name, string(whole.Bytes()), strings.Replace(plain, "password: p", "password: new", 1))
	w1 := strings.SplitAfter(string(whole.Bytes()), "\n")
	for i, l := range strings.SplitAfter(w2, "\n") {
		if l != w1[i] && !strings.HasPrefix(l, "# seal") {
			refused(t, name, "a value set back under seal: whole", strings.Replace(w2, l, w1[i], 1))
		}
	}
}

// The places behind one long path take a bounded amount of time: without the
// bound these would take a minute each.
func TestLongAnchor(t *testing.T) {
	long, list := strings.Repeat("k", 200_000), strings.Repeat("1,", 100_000)
	for name, plain := range map[string]string{
		"a.json": `{"` + long + `":1,"l":[` + list + "1]}",
		"a.toml": long + "=1\nl=[" + list + "1]\n",
	} {
		_, err := leafseal.Encrypt([]byte(plain), leafseal.Options{Name: name, Readers: []leafseal.Reader{reader("alice", alice)}})
		if !errors.Is(err, leafseal.ErrUnsupported) || !strings.Contains(err.Error(), "too many values behind keys") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConvertedLineEndings(t *testing.T) {
	for name, plain := range map[string]string{"a.yaml": "a: b\nc: d\n", "b.yaml": "a: b\r\nc: d\r\n", "a.env": "A=1\nB=2\n", "a.toml": "a = 1\n[b]\nc = 2\n", "a.ini": "[a]\nb = c\n", "a.jsonc": "{\n\"a\": 1, // b\n}\n", "a.json": "{\n\"a\": 1\n}\n"} {
		sealed := encrypt(t, name, plain)
		other := strings.ReplaceAll(sealed, "\n", "\r\n")
		if strings.Contains(plain, "\r") {
			other = strings.ReplaceAll(sealed, "\r\n", "\n")
		}
		refused(t, name, "line endings converted", other)
		if _, err := leafseal.Decrypt([]byte(other), name, alice); !strings.Contains(err.Error(), "line endings") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownVersion(t *testing.T) {
	for name, plain := range samples {
		sealed := encrypt(t, name, plain)
		for _, v := range []string{"v2", "v1x", "v", "V1", "v11"} {
			refused(t, name, "version "+v, strings.Replace(sealed, "v1 ", v+" ", 1))
		}
	}
}
