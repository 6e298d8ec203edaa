package span

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// python reads a document per line, in hexadecimal, and says whether tomllib
// takes it. The tomllib of Python 3.11 to 3.14 reads TOML 1.0, no more and no
// less.
const python = `
import sys, tomllib
for line in sys.stdin:
    try:
        tomllib.loads(bytes.fromhex(line).decode())
        print(1)
    except (ValueError, RecursionError):
        print(0)
`

// TestTOMLAsPython: what is accepted, tomllib accepts; what is refused, it
// refuses, too, but for two things that go-toml agrees on: numbers beyond 64
// bits, and dotted keys into a table that only headers imply.
func TestTOMLAsPython(t *testing.T) {
	if err := exec.Command("python3", "-c", "import tomllib").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 with tomllib is needed: %v", err)
		}
		t.Skipf("SKIPPED: no python3 with tomllib: %v", err)
	}
	docs := append(randomTOML(t, 20_000), []byte("a = {b = 1,}"))
	var in bytes.Buffer
	for _, src := range docs {
		in.WriteString(hex.EncodeToString(src) + "\n")
	}
	cmd := exec.Command("python3", "-c", python)
	cmd.Stdin = &in
	out, err := cmd.Output()
	answers := strings.Fields(string(out))
	if err != nil || len(answers) != len(docs) {
		t.Fatalf("%d answers to %d documents: %v", len(answers), len(docs), err)
	}
	newer := answers[len(docs)-1] == "1" // a tomllib of TOML 1.1
	accepted := 0
	for i, src := range docs {
		_, err := TOML.Find(bytes.TrimPrefix(src, []byte(bom))) // tomllib refuses a byte order mark
		if err == nil {
			accepted++
		}
		if (err == nil) == (answers[i] == "1") || bytes.HasPrefix(src, []byte(bom)) {
			continue
		}
		if err == nil {
			t.Errorf("accepted, but not by Python: %q", src)
		} else if _, other := treeTOML(src); other == nil && !(newer && strings.Contains(err.(*Error).Hint, "TOML 1.1")) {
			t.Errorf("refused, but not by Python nor by go-toml: %v\n%q", err, src)
		}
	}
	t.Logf("%d of %d documents accepted", accepted, len(docs))
	if accepted < len(docs)/10 {
		t.Error("too few to tell anything")
	}
}

// randomTOML returns the documents there are, and n made of pieces or by
// changing some of them a little.
func randomTOML(t *testing.T, n int) (docs [][]byte) {
	t.Helper()
	for _, dir := range []string{"roundtrip", "invalid"} {
		files(t, dir, func(_ string, f *Format, src []byte) {
			if f == &TOML {
				docs = append(docs, src)
			}
		})
	}
	for _, src := range tomlSeeds {
		docs = append(docs, []byte(src))
	}
	pieces := []string{"[a]\n", "[[a]]\n", "[a.b]\n", "[[a.b]]\n", "a.b=1\n", "b.c=1\n", "a={}\n", "a=[]\n", "b=1\n", "c={d.e=1,d.f=[{g=1}]}\n", "[b]\n", "[a.b.c]\n", "b.c.d=1\n", "c='''x'''\n", "[a.c]\n", "#x\n", "x=12:30:00\n", "y=1e5\n"}
	const bytesOf = "\"'[]{},.=# \n\r\t\\0123456789-:TZ_eE+xub"
	r := rand.New(rand.NewPCG(5, 6))
	known := len(docs)
	for len(docs) < known+n {
		var src []byte
		if r.IntN(2) == 0 {
			for range 1 + r.IntN(7) {
				src = append(src, pieces[r.IntN(len(pieces))]...)
			}
		} else if src = bytes.Clone(docs[r.IntN(known)]); len(src) == 0 || len(src) > 1500 {
			continue
		}
		for range r.IntN(3) {
			i, c := r.IntN(len(src)), bytesOf[r.IntN(len(bytesOf))]
			switch r.IntN(3) {
			case 0:
				src[i] = c
			case 1:
				src = append(src[:i], append([]byte{c}, src[i:]...)...)
			case 2:
				src = append(src[:i], append(bytes.Clone(src[i:min(len(src), i+20)]), src[i:]...)...)
			}
		}
		docs = append(docs, src)
	}
	return docs
}
