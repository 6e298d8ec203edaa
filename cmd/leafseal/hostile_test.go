package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Files as an attacker or a broken disk makes them.

// hostileDocs is one document per format; what is secret in them is marked.
var hostileDocs = map[string]string{
	"a.yaml":  "# SENTINEL\ndb: {user: SENTINEL, port: 5432}\nlist:\n  - SENTINEL one\n  - |\n    SENTINEL\n    two\nanchor: &x SENTINEL\nagain: *x\n",
	"a.json":  "{\n  \"db\": {\"user\": \"SENTINEL\", \"on\": true},\n  \"list\": [1, \"SENTINEL\", {\"a\": null}]\n}\n",
	"a.env":   "# SENTINEL\nexport A=SENTINEL\nB='SENTINEL\ntwo' # SENTINEL\n",
	"a.toml":  "# SENTINEL\na = 'SENTINEL'\n[t]\nb = [1, \"SENTINEL\"]\n[[l]]\nc = '''\nSENTINEL\n'''\n[[l]]\nc = 1979-05-27\n",
	"a.ini":   "; SENTINEL\n[db] # SENTINEL\nuser = SENTINEL ; SENTINEL\nlist =\n  SENTINEL = 1\n\n  two\nflag\n[a \"b\"]\nk = 'SENTINEL\nx'\n",
	"a.jsonc": "// SENTINEL\n{\n  \"user\": \"SENTINEL\", /* SENTINEL */\n  \"list\": [1, /**/ \"SENTINEL\",],\n}\n",
	"a.txt":   "SENTINEL\n",
}

func hostileKey(t *testing.T) (*age.X25519Identity, leafseal.Reader) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id, leafseal.Reader{Name: "me", Key: id.Recipient().String()}
}

// inProcess runs a command within this process: a panic fails the test.
func inProcess(id *age.X25519Identity, home string, stdin []byte, args ...string) (code int, stdout, stderr string) {
	var out, problem bytes.Buffer
	e := &env{stdin: bytes.NewReader(stdin), stdout: &out, stderr: &problem, now: time.Now,
		environ: []string{"HOME=" + home, "LEAFSEAL_IDENTITY=" + id.String()},
		openTTY: func() (*os.File, error) { return nil, errors.New("no terminal") }}
	code = run(append([]string{"leafseal"}, args...), e)
	return code, out.String(), problem.String()
}

// TestCorruptions: 10,000 random corruptions of valid files. Each is refused
// without a panic, with nothing on standard output and no plaintext in the
// message.
func TestCorruptions(t *testing.T) {
	const rounds = 10_000
	id, me := hostileKey(t)
	home := t.TempDir()
	for name, plain := range hostileDocs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			format := ""
			if name == "a.txt" {
				format = "text"
			}
			var versions [][]byte
			for range 2 { // under two data keys
				sealed, err := leafseal.Encrypt([]byte(plain), leafseal.Options{Name: name, Format: format, Readers: []leafseal.Reader{me}})
				if err != nil {
					t.Fatal(err)
				}
				versions = append(versions, sealed)
			}
			path := filepath.Join(t.TempDir(), name)
			r := rand.New(rand.NewPCG(1, 2))
			for i := range rounds/len(hostileDocs) + 1 {
				src := corrupt(r, versions[0], versions[1], []byte(plain))
				if bytes.Equal(src, versions[0]) || bytes.Equal(src, versions[1]) {
					continue
				}
				if err := os.WriteFile(path, src, 0o600); err != nil {
					t.Fatal(err)
				}
				args := [][]string{{"decrypt", path}, {"get", path, "db.user"}, {"verify", path}, {"render", path, "--as", "json"}}[i%4]
				if format != "" {
					args = append(args, "--format", format)
				}
				if i%4 == 2 {
					args = args[:2]
				}
				code, stdout, stderr := inProcess(id, home, nil, args...)
				if code == 0 || code > 8 || stdout != "" && args[0] != "verify" || strings.Contains(stdout+stderr, "bug in leafseal") {
					t.Fatalf("%v ends with %d, %q and %q for\n%s", args, code, stdout, stderr, src)
				}
				// Corruptions may put a piece of the plain document into the
				// file: then it is no secret. Those never hold the mark.
				if strings.Contains(stdout+stderr, "SENTINEL") {
					t.Fatalf("%v shows plaintext: %s%s", args, stdout, stderr)
				}
			}
		})
	}
}

// corrupt changes a file in one to three places.
func corrupt(r *rand.Rand, src, other, plain []byte) []byte {
	out := bytes.Clone(src)
	for range 1 + r.IntN(3) {
		if len(out) < 2 {
			return out
		}
		i, j := r.IntN(len(out)), r.IntN(len(out))
		if i > j {
			i, j = j, i
		}
		lines := bytes.SplitAfter(out, []byte("\n"))
		k, l := r.IntN(len(lines)), r.IntN(len(lines))
		switch r.IntN(12) {
		case 0:
			out[i] ^= 1 << r.IntN(8)
		case 1:
			out[i] = byte(r.IntN(256))
		case 2:
			out = append(out[:i:i], out[min(j, i+r.IntN(20)):]...)
		case 3:
			out = append(out[:i:i], append([]byte{byte(r.IntN(256))}, out[i:]...)...)
		case 4:
			out = out[:i]
		case 5:
			lines[k], lines[l] = lines[l], lines[k]
			out = bytes.Join(lines, nil)
		case 6:
			out = bytes.Join(append(lines[:k:k], lines[min(k+1, len(lines)):]...), nil)
		case 7:
			out = bytes.Join(append(lines[:k:k], lines[l:]...), nil)
		case 8:
			o := bytes.SplitAfter(other, []byte("\n"))
			lines[k] = o[r.IntN(len(o))]
			out = bytes.Join(lines, nil)
		case 9:
			p := bytes.SplitAfter(bytes.ReplaceAll(plain, []byte("SENTINEL"), []byte("public")), []byte("\n"))
			lines[k] = p[r.IntN(len(p))]
			out = bytes.Join(lines, nil)
		case 10:
			out = append(out[:j:j], append(bytes.Clone(out[i:j]), out[j:]...)...)
		case 11:
			out = append(out[:i:i], append([]byte([]string{"\r\n", "\x00", "\xff\xfe", "\ufeff", "{", "]", "\"", "'", "#", "&a ", "*a", "---\n", "# leafseal:end\n", "leafseal."}[r.IntN(14)]), out[i:]...)...)
		}
	}
	return out
}

// TestHostileFiles: what costs much is refused, quickly and in little memory.
func TestHostileFiles(t *testing.T) {
	dir, err := leafsealOnce()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "leafseal")
	id, me := hostileKey(t)
	seal := func(t *testing.T, name, plain string) string {
		sealed, err := leafseal.Encrypt([]byte(plain), leafseal.Options{Name: name, Readers: []leafseal.Reader{me}})
		if err != nil {
			t.Fatal(err)
		}
		return string(sealed)
	}
	laughs := "a: &a [SENTINEL, SENTINEL]\n"
	for c := 'b'; c <= 'z'; c++ {
		laughs += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	deep := func(open, close string) string {
		return strings.Repeat(open, 200_000) + "1" + strings.Repeat(close, 200_000)
	}
	small := func(t *testing.T) string { return seal(t, "a.yaml", "a: SENTINEL\n") }
	replaced := func(t *testing.T, old string, new string) string {
		out := strings.Replace(small(t), old, new, 1)
		if out == small(t) {
			t.Fatalf("no %q", old)
		}
		return out
	}
	for _, c := range []struct {
		name, file string
		src        func(t *testing.T) string
		args       []string
		code       int
		want       string
	}{
		{"aliases that explode", "a.yaml", func(t *testing.T) string { return seal(t, "a.yaml", laughs) }, []string{"render", "--as", "json"}, 1, "aliases"},
		{"aliases that explode, for a program", "a.yaml", func(t *testing.T) string { return seal(t, "a.yaml", laughs) }, []string{"exec", "--", "true"}, 1, "aliases"},
		{"an alias of itself", "a.yaml", func(t *testing.T) string { return seal(t, "a.yaml", "a: &a [*a]\n") }, []string{"render", "--as", "json"}, 1, "a"},
		{"deep YAML", "a.yaml", func(*testing.T) string { return deep("[", "]") }, []string{"encrypt", "--to", me.Key}, 1, "depth"},
		{"deep block YAML", "a.yaml", func(*testing.T) string { return deep("- ", "") }, []string{"encrypt", "--to", me.Key}, 1, ""},
		{"deep JSON", "a.json", func(*testing.T) string { return deep("[", "]") }, []string{"encrypt", "--to", me.Key}, 1, "levels"},
		{"deep TOML", "a.toml", func(*testing.T) string { return "a = " + deep("[", "]") }, []string{"encrypt", "--to", me.Key}, 1, "levels"},
		{"deep JSON with comments", "a.jsonc", func(*testing.T) string { return deep("[/**/", "]") }, []string{"encrypt", "--to", me.Key}, 1, "levels"},
		{"deep JSON behind a block", "a.json", func(*testing.T) string { return `{"a": ` + deep("[", "]") + `, "leafseal": ["v1 json"]}` }, []string{"decrypt"}, 5, ""},
		{"100,000 readers", "a.yaml", func(t *testing.T) string {
			return replaced(t, "# key", strings.Repeat("# to me "+me.Key+"\n", 100_000)+"# key")
		}, []string{"decrypt"}, 5, "block"},
		{"a key line of 3 MB", "a.yaml", func(t *testing.T) string { return replaced(t, "# key ", "# key "+strings.Repeat("A", 3<<20)) }, []string{"decrypt"}, 5, "block"},
		{"5,000 stanzas", "a.yaml", func(t *testing.T) string {
			sealed := small(t)
			line := regexp.MustCompile(`# key (.*)`).FindStringSubmatch(sealed)[1]
			header, err := base64.StdEncoding.DecodeString(line)
			if err != nil {
				t.Fatal(err)
			}
			stanza := "-> X25519 " + strings.Repeat("A", 43) + "\n" + strings.Repeat("A", 43) + "\n"
			header = bytes.Replace(header, []byte("-> "), []byte(strings.Repeat(stanza, 5_000)+"-> "), 1)
			return strings.Replace(sealed, line, base64.StdEncoding.EncodeToString(header), 1)
		}, []string{"decrypt"}, 5, "key"},
		{"a rule of 900 kB", "a.yaml", func(t *testing.T) string {
			return replaced(t, "# id", "# only "+strings.Repeat("(", 900_000)+"\n# id")
		}, []string{"decrypt"}, 5, ""},
		{"a rule that explodes", "a.yaml", func(*testing.T) string { return "a: SENTINEL\n" }, []string{"encrypt", "--to", me.Key, "--only", "((a{1000}){1000}){1000}"}, 6, ""},
		{"one million lines", "a.yaml", func(*testing.T) string { return strings.Repeat("- \n", 1_000_000) + "- [" }, []string{"encrypt", "--to", me.Key}, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.src(t)), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, bin, append([]string{c.args[0], c.file}, c.args[1:]...)...)
			cmd.Dir = dir
			cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LEAFSEAL_IDENTITY=" + id.String()}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			started := time.Now()
			cmd.Run()
			t.Logf("%.2f s, %d MB: %.200s", time.Since(started).Seconds(), peak(cmd.ProcessState)>>20, stderr.String())
			if got := cmd.ProcessState.ExitCode(); got != c.code || stdout.Len() > 0 || !strings.Contains(stderr.String(), c.want) || strings.Contains(stderr.String(), "SENTINEL") || stderr.Len() > 4000 {
				t.Errorf("exit code %d, not %d; stdout %.200q, stderr %.2000q", got, c.code, stdout.String(), stderr.String())
			}
			if peak(cmd.ProcessState) > 512<<20 {
				t.Errorf("it took %d MB", peak(cmd.ProcessState)>>20)
			}
		})
	}
}

// panics is a stream that panics with what is written to it.
type panics struct{}

func (panics) Write(p []byte) (int, error) { panic(string(p)) }

// TestPanic: not even then is a value shown.
func TestPanic(t *testing.T) {
	id, me := hostileKey(t)
	sealed, err := leafseal.Encrypt([]byte("a: SENTINEL\n"), leafseal.Options{Name: "a.yaml", Readers: []leafseal.Reader{me}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	code := run([]string{"leafseal", "decrypt", path}, &env{stdout: panics{}, stderr: &stderr, environ: []string{"LEAFSEAL_IDENTITY=" + id.String()}, now: time.Now, openTTY: openTTY})
	if code != 1 || !strings.Contains(stderr.String(), "hostile_test.go:") || strings.Contains(stderr.String(), "SENTINEL") {
		t.Errorf("%d: %s", code, stderr.String())
	}
}
