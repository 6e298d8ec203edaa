package migrate

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leafseal/leafseal/internal/span"
)

// iniOptions asks for all values of a document to be encrypted but those that
// stand in clear.
func iniOptions(t *testing.T, l *lab, text string, clear ...string) SopsOptions {
	t.Helper()
	spans, err := span.INI.Find([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := SopsOptions{Format: "ini", Comments: true, Now: time.Now(), To: []SopsRecipient{{l.id.Recipient().String(), l.id.Recipient()}}}
	for _, s := range spans {
		if s.Kind == span.Value {
			o.Secret = append(o.Secret, !strings.Contains(" "+strings.Join(clear, " ")+" ", " "+dotted(s.Path)+" "))
		}
	}
	return o
}

// TestWriteINI holds what is written against the real sops, which must have
// the same values, or it is refused with the reason.
func TestWriteINI(t *testing.T) {
	l := newLab(t)
	for text, want := range map[string]string{
		"[a]\nk = SENTINEL;x#y\n":                                     "",
		"k = \"SENTINEL;x\"\n[a]\n\tl : 'y z'\n":                      "",
		"[a]\nk = one\n  two\n\n  three = 3\nj = \"x\ny\"\n":          "",
		"[a]\nk = a \\\n  b\n":                                        "",
		"[remote \"origin\"]\n\turl = https://u:p@h/\n":               "",
		"[a]\nempty =\n[b]\n[c]\nk = \u00fc\n":                        "",
		"; one\n\n; two\n[a]\n; of k\n# more\nk = v\n; of l\nl = w\n": "",
		"[a]\nk = v\n; last\n":                                        "",
		"[a]\nk = `x y`\nl = a`b\nm = \"\"\"q \"r\" s\"\"\"\n":        "",
		"\ufeff[a]\r\nk = v\r\n":                                      "",
		"[a]\nk=1\nk=2\n":                                             "a key that stands there twice",
		"[a]\nk=1\n[b]\n[a]\nl=2\n":                                   "a section that stands there twice",
		"[mysqld]\nskip-networking\n":                                 "not \"key = value\"",
		"[a]\nk = C:\\dir\\\nl = 1\n":                                 "read differently",
		"[a]\nk = \"'x'\"\n":                                          "read differently",
		"[sops]\nk = v\n":                                             "a section named \"sops\"",
		"[ a ]\nk = v\n[default]\nk = v\n":                            "",
		"[DEFAULT]\nk = v\n":                                          "a section named \"DEFAULT\"",
		"[]\nk = v\n":                                                 "a section named \"\"",
		"//h/:_authToken=x\n":                                         "a key that sops reads differently",
		"[a]b]\nk = v\n":                                              "more behind its name",
		"[a] ; c\nk = v\n":                                            "more behind its name",
		"; nothing\n":                                                 "an empty document",
	} {
		sealed, _, err := WriteSops([]byte(text), iniOptions(t, l, text))
		if want != "" {
			if err == nil || !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, not %q", text, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if bytes.Contains(sealed, []byte("SENTINEL")) {
			t.Errorf("%q: in clear in\n%s", text, sealed)
		}
		got, err := l.decrypt("w.ini", sealed)
		if err != nil {
			t.Errorf("%q: sops: %v\n%s", text, err, sealed)
		} else if got, want := data(t, "w.ini", got), data(t, "w.ini", []byte(text)); got != want {
			t.Errorf("%q: sops has\n%s\nnot\n%s", text, got, want)
		}
		d, err := OpenSops(sealed, "ini", l.id)
		if err != nil || d.Format != "ini" || data(t, "w.ini", d.Plain) != data(t, "w.ini", []byte(text)) {
			t.Errorf("%q: read again: %+v, %v", text, d, err)
		}
	}
}

// TestWriteINIRule: what stands in clear stays so where sops reads it alike,
// and comments keep their places.
func TestWriteINIRule(t *testing.T) {
	l := newLab(t)
	const text = "; of a\n; more\n[a]\nhost = h\n; of p\npassword = SENTINEL\nnote = x;y\ndir = C:\\x\n"
	sealed, notes, err := WriteSops([]byte(text), iniOptions(t, l, text, "a.host", "a.note", "a.dir"))
	if err != nil {
		t.Fatal(err)
	}
	if out := string(sealed); !strings.Contains(out, "host = h\n") || strings.Contains(out, "SENTINEL") || strings.Contains(out, "of p") || strings.Contains(out, "more") {
		t.Errorf("written:\n%s", out)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "encrypted for sops") {
		t.Errorf("notes %q", notes)
	}
	got, err := l.decrypt("w.ini", sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"; of a\n; more\n[a]\n", "; of p\npassword", "SENTINEL", "`x;y`"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("sops has no %q in\n%s", want, got)
		}
	}
}

// TestINIFiles writes all INI files that there are for sops, or names why not.
func TestINIFiles(t *testing.T) {
	l := newLab(t)
	paths, err := filepath.Glob("../../testdata/roundtrip/*/*")
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for _, path := range paths {
		if f := span.ByFile(path); f != &span.INI {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := span.INI.Find(src); err != nil {
			continue
		}
		sealed, _, err := WriteSops(src, iniOptions(t, l, string(src)))
		if err != nil {
			t.Logf("%s: %v", path, err)
			continue
		}
		written++
		got, err := l.decrypt("w.ini", sealed)
		if err != nil {
			t.Errorf("%s: sops: %v\n%s", path, err, sealed)
		} else if got, want := data(t, "w.ini", got), data(t, "w.ini", src); got != want {
			t.Errorf("%s: sops has\n%s\nnot\n%s", path, got, want)
		}
	}
	if written < 10 {
		t.Errorf("only %d files were written", written)
	}
}

// TestOpenINI: what sops cut off a value is gone, what is left is read as it
// is by sops.
func TestOpenINI(t *testing.T) {
	l := newLab(t)
	sealed, err := l.encrypt("x.ini", []byte("[a]\nk = \"one;two\"\nl = C:\\x\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenSops(sealed, "ini", l.id)
	if err != nil {
		t.Fatal(err)
	}
	if got := data(t, "x.ini", d.Plain); d.Format != "ini" || got != "a.k = \"\\\"one\" <nil>\na.l = \"C:\\\\x\" <nil>\n" {
		t.Errorf("%s: %s\n%s", d.Format, got, d.Plain)
	}
}
