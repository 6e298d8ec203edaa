package migrate

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGitCryptReal reads what the real git-crypt writes, with the key files
// that it exports.
func TestGitCryptReal(t *testing.T) {
	if _, err := exec.LookPath("git-crypt"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git-crypt is not installed: apt-get install git-crypt")
		}
		t.Skip("git-crypt is not installed")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	run("git", "init", "-q", ".")
	run("git-crypt", "init")
	run("git-crypt", "init", "-k", "other")
	run("git-crypt", "export-key", "default.key")
	run("git-crypt", "export-key", "-k", "other", "other.key")
	files := map[string]string{
		"a.yaml":  "a: SENTINEL\nb: [1, 2]\n",
		"b.bin":   "\x00\x01\xff" + string(bytes.Repeat([]byte("x"), 100_000)),
		"c.yaml":  "not: [valid\n",
		"o.other": "text\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitattributes"), []byte("*.yaml filter=git-crypt\n*.bin filter=git-crypt\n*.other filter=git-crypt-other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("git", "add", "-A")
	key := func(name string) *GitCryptKeys {
		t.Helper()
		src, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		k, err := ReadGitCryptKey(src)
		if err != nil {
			t.Fatal(err)
		}
		for n := range src { // cut anywhere, it is no key
			if _, err := ReadGitCryptKey(src[:n]); err == nil {
				t.Errorf("a key file of %d bytes of %d passes", n, len(src))
			}
		}
		return k
	}
	def, other := key("default.key"), key("other.key")
	if def.Name != "" || other.Name != "other" {
		t.Errorf("names %q and %q", def.Name, other.Name)
	}
	for name, text := range files {
		k, wrong := def, other
		if filepath.Ext(name) == ".other" {
			k, wrong = other, def
		}
		sealed := run("git", "cat-file", "blob", ":"+name)
		d, err := OpenGitCrypt(sealed, formatOf(name), k)
		if err != nil || string(d.Plain) != text {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if format := map[bool]string{true: "yaml", false: "text"}[name == "a.yaml"]; d.Format != format {
			t.Errorf("%s: format %s", name, d.Format)
		}
		if _, err := OpenGitCrypt(sealed, "yaml", wrong); !errors.Is(err, ErrTampered) {
			t.Errorf("%s with another key: %v", name, err)
		}
		for _, at := range []int{10, 21, 22, len(sealed) - 1} {
			bad := bytes.Clone(sealed)
			bad[at] ^= 1
			if d, err := OpenGitCrypt(bad, "yaml", k); !errors.Is(err, ErrTampered) || d != nil {
				t.Errorf("%s, byte %d changed: %v", name, at, err)
			}
		}
		if _, err := OpenGitCrypt(sealed[:len(sealed)-1], "yaml", k); !errors.Is(err, ErrTampered) {
			t.Errorf("%s cut: %v", name, err)
		}
	}
	if _, err := OpenGitCrypt([]byte("plain"), "yaml", def); !errors.Is(err, ErrForeign) {
		t.Errorf("plain text: %v", err)
	}
	if _, err := ReadGitCryptKey([]byte("no key")); !errors.Is(err, ErrForeign) {
		t.Errorf("no key: %v", err)
	}
}
