package leafseal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// What programs may take for keys of its own is in clear under no rule, though
// the rule would spare the key in front.
func TestINIRules(t *testing.T) {
	rule := leafseal.Rule{Only: "password", KeepComments: true}
	for _, plain := range []string{
		"[a]\ns3 =\n  password = SENTINEL\n",
		"[a]\nk = v\n  [b]\n  token=SENTINEL\n",
		"[a]\nk = v \\\nother: SENTINEL\n",
		"[a]\nk = \"v\npassword = SENTINEL\"\n",
		"[a]\nhost1 user=x pass=SENTINEL\n",
		"//h.example.com:_authToken=x\nk:password=SENTINEL\n",
		"[a]\nSENTINEL\n",
		"[a]\n= SENTINEL\n",
		"[a]\nk =\n  -----BEGIN X-----\n  SENTINEL=\n  -----END X-----\n",
		"[a]\nk = x\nSENTINELSENTINELSENTINELSEN=\n",
		"[a]\npassword = SENTINEL\n",
		"[a]\nk = v \\\nother = SENTINEL\n",
		"[a]\nk = v \\\n; c\n[b]\nk = C:\\\\\nother = SENTINEL\n",
		"[a]\nk = v \"w\nx = y\nother = SENTINEL\"\n",
		"[a]\n  k = v \\\nl: w\n m = SENTINEL\n",
	} {
		sealed := encrypt(t, "a.ini", plain, rule)
		if strings.Contains(sealed, "SENTINEL") {
			t.Errorf("%q: in clear in\n%s", plain, sealed)
		}
		if got := string(open(t, "a.ini", sealed).Plaintext()); got != plain {
			t.Errorf("%q came back as %q", plain, got)
		}
		info, err := leafseal.Inspect([]byte(sealed), leafseal.Options{Name: "a.ini"})
		if err != nil || len(info.Exposed) > 0 {
			t.Errorf("%q: %+v, %v", plain, info, err)
		}
	}
	const plain = "; note\n[a]\nhost = h\nlist =\n  one\n  two\n"
	if sealed := encrypt(t, "a.ini", plain, rule); !strings.HasPrefix(sealed, plain) {
		t.Errorf("the rule leaves all of it in clear, but\n%s", sealed)
	}
}

// A file's block tells its format where its name does not, and whether JSON
// has comments.
func TestFormatOfBlock(t *testing.T) {
	for _, c := range []struct{ name, format, plain string }{
		{"wg0.conf", "ini", "[a]\nk = v\n"},
		{"noname", "yaml", "a: b\n"},
		{"noname", "json", "{\"a\": 1}"},
		{"noname", "jsonc", "[1,]"},
		{"settings.json", "jsonc", "{\n  \"a\": 1, // \"leafseal\": []\n}\n"},
		{"tsconfig.json", "json", "{\n  \"a\": 1\n}\n"},
	} {
		o := leafseal.Options{Name: c.name, Format: c.format, Readers: []leafseal.Reader{reader("alice", alice)}}
		sealed, err := leafseal.Encrypt([]byte(c.plain), o)
		if err != nil {
			t.Fatal(err)
		}
		f := open(t, c.name, string(sealed))
		if f.Format() != c.format || string(f.Plaintext()) != c.plain {
			t.Errorf("%s: opened as %s", c.name, f.Format())
		}
		other := strings.Replace(string(sealed), "v1 "+c.format, "v1 dotenv", 1)
		if _, err := leafseal.Decrypt([]byte(other), c.name, alice); err == nil {
			t.Errorf("%s: with another format in its block it opens", c.name)
		}
	}
	if _, err := leafseal.Decrypt([]byte("a: b\n"), "noname", alice); !errors.Is(err, leafseal.ErrUnsupported) {
		t.Errorf("no name and no block: %v", err)
	}
}
