package migrate

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leafseal/leafseal/internal/span"
)

const dotenvxVersion = "2.38.2"

// realDotenvx is the program that these tests talk to, a package of npm. In CI
// it is installed if it is not there; elsewhere tests without it are skipped.
func realDotenvx(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "leafseal-bench", "dotenvx-"+dotenvxVersion)
	program := filepath.Join(dir, "node_modules", ".bin", "dotenvx")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	install := []string{"npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "@dotenvx/dotenvx@" + dotenvxVersion}
	if os.Getenv("CI") == "" {
		t.Skip("dotenvx is not installed: " + strings.Join(install, " "))
	}
	if out, err := exec.Command(install[0], install[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", install, err, out)
	}
	return program
}

// envLab runs dotenvx in a folder, out of reach of its services.
type envLab struct {
	t            *testing.T
	program, dir string
}

func (l *envLab) run(args ...string) []byte {
	l.t.Helper()
	cmd := exec.Command(l.program, args...)
	cmd.Dir = l.dir
	cmd.Env = []string{"HOME=" + l.dir, "PATH=" + os.Getenv("PATH"), "FOO=foo", "DOTENVX_NO_ARMOR=true"} // it calls nobody
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("dotenvx %v: %v\n%s", args, err, errs.String())
	}
	return out
}

// write makes files, and names them as flags of dotenvx.
func (l *envLab) write(files map[string][]byte) (flags []string) {
	l.t.Helper()
	for name, src := range files {
		if err := os.WriteFile(filepath.Join(l.dir, ".env."+name), src, 0o600); err != nil {
			l.t.Fatal(err)
		}
		flags = append(flags, "-f", ".env."+name)
	}
	return append(flags, "--no-armor", "--no-native")
}

// get is what dotenvx hands to a program.
func (l *envLab) get(files map[string][]byte) map[string]string {
	l.t.Helper()
	values := map[string]string{}
	if err := json.Unmarshal(l.run(append([]string{"get"}, l.write(files)...)...), &values); err != nil {
		l.t.Fatal(err)
	}
	return values
}

// oddEnv are dotenv files by what is odd about them. No two have a name in
// common: dotenvx, which takes a second to start, reads them all at once.
var oddEnv = map[string]string{
	"plain":     "PA=one\nPB=two words\n# c\nPC='q'\n",
	"quotes":    "QA=\"it's\"\nQB='say \"x\"'\nQC=`a'b\"c`\nQD=\"\\\"x\\\"\"\nQF=a'b\nQG=\"a`b\"\n",
	"lines":     "LA=\"one\ntwo\"\nLB=\"one\\ntwo\\t\\r\"\nLC='one\ntwo'\nLD=\"ends\\n\"\nLE=\"-----BEGIN X-----\\nabc'\\\"d\\n-----END X-----\\n\"\n",
	"backslash": "BA=C:\\dir\\new\nBB=\"C:\\\\dir\\\\new\"\nBC='C:\\dir\\new'\nBD=\"end\\\\\"\nBE=\\\n",
	"dollar":    "DA=$HOME\nDB=\"$HOME ${FOO:-x}\"\nDC='$HOME'\nDD=\"\\$5\"\nDE=\\$5\nDF=\"a'$FOO'\"\nDG=pa$$word\n",
	"blanks":    "SA = x \nSB=\"  x  \"\nSC=' x'\nexport   SD=1\nSF=\n SG=2\n",
	"hash":      "HA=\"a#b\"\nHB='a #b'\nHC=x # tail\nHD=\"x\" # tail\n",
	"twice":     "TA=1\nTA=2\nTB=3\n",
	"unicode":   "UA=\u00fcber\nUB=\"\U0001F600 \u4e2d\"\n",
	"json":      "JA={\"k\": [1, \"v\"]}\nJB='{\"k\": \"v\\n\"}'\n",
	"crlf":      "CA=1\r\nCB=\"two words\"\r\n",
	"short":     "XA=1",
}

// TestDotenvxReal: what dotenvx encrypts is read, and dotenvx reads the same
// values in the plaintext as it reads in its own files.
func TestDotenvxReal(t *testing.T) {
	l := &envLab{t, realDotenvx(t), t.TempDir()}
	files := map[string][]byte{}
	for about, text := range oddEnv {
		files[about] = []byte(text)
	}
	l.run(append([]string{"encrypt", "--no-1password", "--no-bitwarden"}, l.write(files)...)...)
	for about := range files {
		files[about] = readFile(t, filepath.Join(l.dir, ".env."+about))
	}
	want, keyFile := l.get(files), readFile(t, filepath.Join(l.dir, ".env.keys"))
	os.Remove(filepath.Join(l.dir, ".env.keys"))
	plain := map[string][]byte{}
	for about, src := range files {
		if name := DotenvxKeyName(src, "x"); !Dotenvx(src) || name != "DOTENV_PRIVATE_KEY_"+strings.ToUpper(about) {
			t.Errorf("%s: not recognised, or key %s", about, name)
		}
		d := openDotenvx(t, src, keyFile)
		plain[about] = d.Plain
		if changed := strings.Join(d.Notes, "\n"); changed != "" && about != "dollar" {
			t.Errorf("%s: %s", about, changed)
		}
		for i, v := range mustValues(t, d.Plain) { // leafseal reads what dotenvx hands over, but for what it expands
			if !d.Secret[i] {
				t.Errorf("%s is not secret", v.name)
			}
			if got, ok := want[v.name]; about != "dollar" && about != "twice" && (!ok || v.text != got) {
				t.Errorf("%s: leafseal reads %q, dotenvx %q", v.name, v.text, got)
			}
		}
	}
	got := l.get(plain)
	for name := range want {
		if !strings.HasPrefix(name, dotenvxPublic) && got[name] != want[name] {
			t.Errorf("%s: %q, dotenvx had %q", name, got[name], want[name])
		}
	}
	if len(got) < 30 {
		t.Errorf("%d values", len(got))
	}
}

func mustValues(t *testing.T, src []byte) []envValue {
	t.Helper()
	values, err := dotenvValues(src)
	if err != nil || len(values) == 0 {
		t.Fatalf("%d values, %v", len(values), err)
	}
	return values
}

func openDotenvx(t *testing.T, src, keyFile []byte) *Document {
	t.Helper()
	keys, err := ReadDotenvxKeys(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDotenvx(src, keys)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const dotenvxFixtures = "../../testdata/foreign/dotenvx/"

// TestDotenvxFixtures reads files that dotenvx 2.38.2 made.
func TestDotenvxFixtures(t *testing.T) {
	files, err := filepath.Glob(dotenvxFixtures + "*.env")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, path := range files {
		d := openDotenvx(t, readFile(t, path), readFile(t, strings.TrimSuffix(path, ".env")+".keys"))
		want := readFile(t, filepath.Join(filepath.Dir(path), "plain", filepath.Base(path)))
		if !bytes.Equal(d.Plain, want) {
			t.Errorf("%s: %q, want %q", path, d.Plain, want)
		}
	}
	d := openDotenvx(t, readFile(t, dotenvxFixtures+"partly.env"), readFile(t, dotenvxFixtures+"partly.keys"))
	if want := "^(?:ALSO_PLAIN|CLEAR|PUBLIC_URL)$"; d.Rule.Except != want || !d.Rule.KeepComments || d.SecretComments {
		t.Errorf("rule %+v", d.Rule)
	}
	for i, v := range mustValues(t, d.Plain) {
		if d.Secret[i] != (v.name == "SECRET") {
			t.Errorf("%s: secret is %v", v.name, d.Secret[i])
		}
	}
}

// TestDotenvxRefused: a changed byte, another key, a mixture of keys.
func TestDotenvxRefused(t *testing.T) {
	src, keyFile := readFile(t, dotenvxFixtures+"partly.env"), readFile(t, dotenvxFixtures+"partly.keys")
	keys, err := ReadDotenvxKeys(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	others, err := ReadDotenvxKeys(readFile(t, dotenvxFixtures+"values.keys"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, src []byte, keys []DotenvxKey, kind error) {
		t.Helper()
		d, err := OpenDotenvx(src, keys)
		if d != nil || !errors.Is(err, kind) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: plaintext in %v", what, err)
		}
	}
	refused("another key", src, others, ErrNoIdentity)
	refused("no key", src, nil, ErrNoIdentity)
	refused("plain text", []byte("A=1\n"), keys, ErrForeign)
	at := bytes.Index(src, []byte(dotenvxMark)) + len(dotenvxMark)
	end := at + bytes.IndexByte(src[at:], '\n')
	for i := at; i < end; i++ {
		bad := bytes.Clone(src)
		bad[i] = 'A' + bad[i]%23 + 1
		if bad[i] != src[i] {
			refused("a changed byte", bad, keys, ErrTampered)
		}
	}
	for cut := at; cut < end; cut += 7 {
		refused("a cut value", append(bytes.Clone(src[:cut]), src[end:]...), keys, ErrTampered)
	}
	// A value of another file, which has another key.
	values := readFile(t, dotenvxFixtures+"values.env")
	hello := values[bytes.Index(values, []byte("HELLO=")):]
	hello = hello[:bytes.IndexByte(hello, '\n')+1]
	mixed := append(bytes.Clone(src), hello...)
	refused("mixed keys", mixed, append(keys, others...), ErrTampered)
	public := values[bytes.Index(values, []byte(dotenvxPublic+"=")):]
	refused("two public keys", append(mixed, public[:bytes.IndexByte(public, '\n')+1]...), append(keys, others...), ErrUnsupported)
	// Without a public key in it, the key that opens it is its key.
	bare := src[bytes.Index(src, []byte("CLEAR=")):]
	if d, err := OpenDotenvx(bare, append(others, keys...)); err != nil || !bytes.Contains(d.Plain, []byte("SECRET=hidden\n")) {
		t.Errorf("without a public key: %v", err)
	}
	for _, text := range []string{"", "A=1\n", "DOTENV_PRIVATE_KEY=\n", "DOTENV_PRIVATE_KEY=xyz\n", "DOTENV_PRIVATE_KEY=" + strings.Repeat("0", 64) + "\n", "DOTENV_PRIVATE_KEY=" + strings.Repeat("f", 64) + "\n"} {
		if _, err := ReadDotenvxKeys([]byte(text)); !errors.Is(err, ErrForeign) {
			t.Errorf("key file %q: %v", text, err)
		}
	}
}

// TestDotenvxKeyName holds the names against dotenvx's own rules.
func TestDotenvxKeyName(t *testing.T) {
	for file, want := range map[string]string{
		".env": "", "a/.env": "", ".env.production": "_PRODUCTION", ".env.Prod.local": "_PROD_LOCAL", ".env.a.b.c": "_A_B", ".env.ci.txt": "_CI", "secrets.env": "",
	} {
		if got := DotenvxKeyName([]byte("A=1\n"), file); got != dotenvxPrivate+want {
			t.Errorf("%s: %s", file, got)
		}
	}
}

// TestSecp256k1: the public keys are the known multiples of the generator, and
// what is no private key, or no point of the curve in the one form of dotenvx,
// is refused.
func TestSecp256k1(t *testing.T) {
	const g = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	for k, want := range map[string]string{
		strings.Repeat("0", 63) + "1":                                      "02" + g,
		strings.Repeat("0", 63) + "3":                                      "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
		"aa5e28d6a97a2479a65527f7290311a3624d4cc0fa1578598ee3c2613bf99522": "0234f9460f0e4f08393d192b3c5133a6ba099aa0ad9fd54ebccfacdfa239ff49c6",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140": "03" + g,
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141": "",
		strings.Repeat("f", 64):                                            "",
		strings.Repeat("0", 64):                                            "",
		strings.Repeat("0", 61) + "1":                                      "",
		strings.Repeat("0", 65) + "1":                                      "",
	} {
		keys, err := ParseDotenvxKeys("K", k)
		if (err != nil) != (want == "") || err == nil && hex.EncodeToString(keys[0].public) != want {
			t.Errorf("%s·g: %v", k, err)
		}
	}
	one, _ := ParseDotenvxKeys("K", strings.Repeat("0", 63)+"1")
	point := publicOf(one[0].scalar).SerializeUncompressed()
	if p, err := readPoint(point); err != nil || string(p.SerializeUncompressed()) != string(point) {
		t.Error("the generator", err)
	}
	for at, with := range map[int]byte{0: 6, 64: 0xb9, 1: 0x78} { // the hybrid form, and points beside the curve
		bad := bytes.Clone(point)
		if bad[at] = with; bad[0] == 6 && bad[64]&1 == 1 {
			t.Error("the point is no hybrid")
		}
		if _, err := readPoint(bad); err == nil {
			t.Errorf("byte %d is %x", at, with)
		}
	}
	if _, err := readPoint(append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...)); err == nil {
		t.Error("coordinates above the field")
	}
}

// FuzzEnvSource: whatever text is written, leafseal reads it back.
func FuzzEnvSource(f *testing.F) {
	for _, text := range oddEnv {
		for _, v := range []byte("'\"`\x00") {
			f.Add(text, v)
		}
	}
	f.Fuzz(func(t *testing.T, text string, quote byte) {
		if strings.IndexByte("'\"`\x00", quote) < 0 || strings.ContainsRune(text, 0) {
			return
		}
		source, expands, same := envSource(text, quote)
		want := seenBy(text, quote)
		if got := readByLeafseal(source); got != want.text || expands != want.expands {
			t.Errorf("%q read as %q", source, got)
		}
		if same && readByDotenvx(source) != want {
			t.Errorf("%q: dotenvx reads otherwise", source)
		}
		if _, err := span.Dotenv.Find([]byte("A=" + source + "\n")); err != nil {
			t.Error(err)
		}
	})
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return src
}
