package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/span"
)

const ansibleFixtures = "../../testdata/foreign/ansible/"

func ansiblePassword(t *testing.T, name string) []byte {
	t.Helper()
	password, err := AnsiblePassword(readFile(t, ansibleFixtures+name))
	if err != nil {
		t.Fatal(err)
	}
	return password
}

// TestAnsibleFixtures reads files that ansible-vault (core 2.14) made.
func TestAnsibleFixtures(t *testing.T) {
	for name, pass := range map[string]string{"whole.yml": "dev.pass", "labelled.yml": "prod.pass", "inline.yml": "dev.pass", "notes.txt": "dev.pass"} {
		src, format := readFile(t, ansibleFixtures+name), "yaml"
		if name == "notes.txt" {
			format = ""
		}
		if !Ansible(src) {
			t.Errorf("%s: not recognised", name)
		}
		d, err := OpenAnsible(src, format, ansiblePassword(t, pass))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := readFile(t, ansibleFixtures+"plain/"+name); !bytes.Equal(d.Plain, want) {
			t.Errorf("%s: %q, want %q", name, d.Plain, want)
		}
		// The same file with CRLF, as git may make it.
		crlf := bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n"))
		if _, err := OpenAnsible(crlf, format, ansiblePassword(t, pass)); err != nil || !Ansible(crlf) {
			t.Errorf("%s with CRLF: %v", name, err)
		}
	}
	d, err := OpenAnsible(readFile(t, ansibleFixtures+"inline.yml"), "yaml", ansiblePassword(t, "dev.pass"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "^(?:empty_clear|port|user|when)$"; d.Rule.Except != want || !d.Rule.KeepComments || d.SecretComments || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "nested.list") {
		t.Errorf("%+v, %v", d.Rule, d.Notes)
	}
}

// TestAnsibleRefused: another password, another id, changed bytes.
func TestAnsibleRefused(t *testing.T) {
	dev, prod := ansiblePassword(t, "dev.pass"), ansiblePassword(t, "prod.pass")
	refused := func(what string, src []byte, format string, password []byte, kind error, says string) {
		t.Helper()
		d, err := OpenAnsible(src, format, password)
		if d != nil || !errors.Is(err, kind) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", what, err)
		}
	}
	mixed := readFile(t, ansibleFixtures+"mixed.yml")
	refused("an id of another password", mixed, "yaml", dev, ErrNoIdentity, `line 9: b: `)
	refused("an id of another password", mixed, "yaml", dev, ErrNoIdentity, `the vault of id "prod"`)
	refused("the other way round", mixed, "yaml", prod, ErrNoIdentity, `line 2: a: `)
	refused("whole", readFile(t, ansibleFixtures+"labelled.yml"), "yaml", dev, ErrNoIdentity, `"prod"`)
	refused("plain text", []byte("a: 1\n"), "yaml", dev, ErrForeign, "")
	refused("not YAML", []byte("x=!vault |\n"), "dotenv", dev, ErrForeign, "")
	refused("a tag without a vault", []byte("a: !vault |\n  text\n"), "yaml", dev, ErrUnsupported, "line 1: a: ")
	whole := readFile(t, ansibleFixtures+"whole.yml")
	refused("another version", bytes.Replace(whole, []byte(";1.1;"), []byte(";1.3;"), 1), "yaml", dev, ErrUnsupported, "")
	refused("another cipher", bytes.Replace(whole, []byte("AES256"), []byte("AES"), 1), "yaml", dev, ErrUnsupported, "")
	body := bytes.IndexByte(whole, '\n') + 1
	for i := body; i < len(whole)-1; i += 5 {
		bad := bytes.Clone(whole)
		bad[i] ^= 4
		if _, err := OpenAnsible(bad, "yaml", dev); err == nil && !bytes.Equal(bytes.ToLower(bad), whole) {
			t.Errorf("byte %d was changed unnoticed", i)
		}
		if _, err := OpenAnsible(whole[:i], "yaml", dev); err == nil {
			t.Errorf("cut at %d unnoticed", i)
		}
	}
	inline := readFile(t, ansibleFixtures+"inline.yml")
	at := bytes.LastIndex(inline, []byte("AES256\n")) + 40
	bad := bytes.Clone(inline)
	bad[at+1] ^= 1
	refused("one of several", bad, "yaml", dev, ErrTampered, "")
	for _, text := range []string{"", " \n", "#!/bin/sh\necho x\n", "$ANSIBLE_VAULT;1.1;AES256\n00\n"} {
		if _, err := AnsiblePassword([]byte(text)); !errors.Is(err, ErrForeign) {
			t.Errorf("password %q: %v", text, err)
		}
	}
}

// TestAnsibleReal reads what the real ansible-vault writes: texts that are
// easily taken for something else, in several places of a document.
func TestAnsibleReal(t *testing.T) {
	if _, err := exec.LookPath("ansible-vault"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ansible-vault is not installed: apt-get install ansible-core")
		}
		t.Skip("ansible-vault is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pass"), []byte(" correct horse \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	texts := []string{"x", "yes", "0x1F", "2024-01-15", "null", "~", "1:30", "- a", "a: b", "#c", "'", "\"", "\\", "a\nb", "a\nb\n", "a\n\n\nb\n\n", "  a\n b\n", "\ta", "\u00fc\u2028\u0085", "\x07", " ", "{{ x }}", "!vault x", "$ANSIBLE", "a\r\nb"}
	ansible := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command("ansible-vault", slices.Insert(args, 1, "--vault-password-file", "pass")...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		cmd.Env = append(os.Environ(), "HOME="+dir, "ANSIBLE_LOCAL_TEMP="+dir, "LC_ALL=C.UTF-8")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return string(out)
	}
	args := []string{"encrypt_string"}
	for i := range texts {
		args = append(args, "--name", fmt.Sprintf("k%d", i))
	}
	values := ansible("", append(append(args, "--"), texts...)...)
	for about, doc := range map[string]string{
		"top":     "---\n# c\nclear: 1\n" + values + "\nlast: x\n",
		"nested":  "m:\n  clear: yes\n" + indent(values, "  ") + "\n  l:\n    - a\n",
		"at end":  "a: 1\n" + strings.TrimRight(values, "\n"),
		"listed":  "l:\n" + indent(listed(values), "  ") + "\n",
		"streams": values + "\n---\n" + values + "\n",
	} {
		d, err := OpenAnsible([]byte(doc), "yaml", []byte("correct horse"))
		if err != nil {
			t.Errorf("%s: %v", about, err)
			continue
		}
		spans, err := span.YAML.Find(d.Plain)
		if err != nil {
			t.Fatal(err)
		}
		n, value := 0, 0
		for _, s := range spans {
			if s.Kind != span.Value {
				continue
			}
			if d.Secret[value] {
				if got, err := span.YAML.Text(d.Plain, s); err != nil || got != texts[n%len(texts)] {
					t.Errorf("%s: value %d is %q, want %q (%v)", about, n, got, texts[n%len(texts)], err)
				}
				var v any
				if err := yaml.Unmarshal([]byte("v: "+string(d.Plain[s.Start:s.End])), &v); err == nil {
					if _, ok := v.(map[string]any)["v"].(string); !ok {
						t.Errorf("%s: value %d is no string", about, n)
					}
				}
				n++
			}
			value++
		}
		if n < len(texts) {
			t.Errorf("%s: %d values", about, n)
		}
	}
	for _, text := range []string{"a: 1\n", "\x00\xff\x10", "x"} {
		sealed := ansible(text, "encrypt", "-", "--output", "-")
		d, err := OpenAnsible([]byte(sealed), "yaml", []byte("correct horse"))
		if err != nil || string(d.Plain) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func indent(text, by string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return by + strings.Join(lines, "\n"+by)
}

// listed makes elements of a list of entries k…: VALUE.
func listed(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if _, value, ok := strings.Cut(line, ": !vault"); ok {
			lines[i] = "- !vault" + value
		}
	}
	return strings.Join(lines, "\n")
}
