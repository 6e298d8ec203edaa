package span

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/ini.v1"
)

// The programs that INI files are read with: Python, git and a Go library.
// They differ, and see what leafseal leaves in clear.

// iniEntry is one value as a program reads it.
type iniEntry struct{ Section, Key, Value string }

// hasSwallowed reports whether a value has lines that other programs take for
// keys, or is a line without a key.
func hasSwallowed(src []byte) bool {
	spans, _ := INI.Find(src)
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Always })
}

func readWithGo(src []byte) (entries []iniEntry, ok bool) {
	f, err := ini.LoadSources(ini.LoadOptions{AllowBooleanKeys: true, AllowShadows: true, AllowDuplicateShadowValues: true, AllowNonUniqueSections: true}, src)
	if err != nil {
		return nil, false
	}
	for _, s := range f.Sections() {
		for _, k := range s.Keys() {
			for _, v := range k.ValueWithShadows() {
				entries = append(entries, iniEntry{s.Name(), k.Name(), v})
			}
			if len(k.ValueWithShadows()) == 0 {
				entries = append(entries, iniEntry{s.Name(), k.Name(), ""})
			}
		}
	}
	return entries, true
}

func readWithGit(t *testing.T, src []byte) (entries []iniEntry, ok bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, src, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "config", "--no-includes", "-f", path, "--list", "-z").Output()
	if err != nil {
		return nil, false
	}
	for e := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		key, value, _ := strings.Cut(e, "\n")
		entries = append(entries, iniEntry{Key: key, Value: value})
	}
	return entries, true
}

const pythonReader = `
import configparser, json, sys
out = []
for name in sys.argv[1:]:
    p = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0")
    p.optionxform = str
    try:
        with open(name, encoding="utf-8-sig") as f:
            p.read_string("[top of the file]\n" + f.read())
        out.append([[s, k, v or ""] for s in p.sections() for k, v in p[s].items()])
    except Exception:
        out.append(None)
print(json.dumps(out))
`

// readWithPython reads documents as configparser does; nil for one that it
// refuses.
func readWithPython(t *testing.T, docs [][]byte) [][]iniEntry {
	t.Helper()
	if err := exec.Command("python3", "--version").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3: ", err)
		}
		t.Skip("SKIPPED: python3: ", err)
	}
	dir := t.TempDir()
	args := []string{"-c", pythonReader}
	for i, src := range docs {
		args = append(args, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(args[len(args)-1], src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("python3", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][][3]string
	if err := json.Unmarshal(out, &rows); err != nil || len(rows) != len(docs) {
		t.Fatalf("%d of %d documents, %v", len(rows), len(docs), err)
	}
	all := make([][]iniEntry, len(docs))
	for i, doc := range rows {
		if doc != nil {
			all[i] = []iniEntry{}
		}
		for _, e := range doc {
			all[i] = append(all[i], iniEntry{e[0], e[1], e[2]})
		}
	}
	return all
}

var fakeTokens = regexp.MustCompile(`leafseal\.A{90}\d{6}`)

// onlyTokens: whatever dialect gopkg.in/ini.v1 is told to read, the values of
// a sealed document are tokens, or its marks of comments.
func onlyTokens(t *testing.T, src []byte) {
	spans, err := INI.Find(src)
	if err != nil || FindToken(src) >= 0 || bytes.Contains(src, []byte("//")) { // in .npmrc the key goes on behind its colon
		return
	}
	sealed := fakeSeal(&INI, src, spans, 1)
	for _, o := range []ini.LoadOptions{{AllowBooleanKeys: true}, {AllowBooleanKeys: true, IgnoreInlineComment: true}, {SkipUnrecognizableLines: true, IgnoreContinuation: true}} {
		o.AllowShadows, o.AllowDuplicateShadowValues, o.AllowNonUniqueSections = true, true, true
		f, err := ini.LoadSources(o, sealed)
		if err != nil {
			continue
		}
		for _, s := range f.Sections() {
			for _, k := range s.Keys() {
				for _, v := range k.ValueWithShadows() {
					clear := strings.Trim(fakeTokens.ReplaceAllString(v, ""), " ;#\t\r\n")
					if clear != "" && !(fakeTokens.MatchString(k.Name()) && clear == "true") {
						t.Fatalf("%q has %q in clear in\n%q", k.Name(), clear, sealed)
					}
				}
			}
		}
	}
}

// TestINIReaders: what programs read of a sealed document are the keys of the
// plain one, and no value that is not a token.
func TestINIReaders(t *testing.T) {
	var names []string
	var plain, sealed [][]byte
	files(t, "roundtrip", func(name string, f *Format, src []byte) {
		if f == &INI {
			onlyTokens(t, src)
		}
		if spans, err := f.Find(src); f == &INI && err == nil && !strings.HasSuffix(name, "odd.ini") {
			names, plain, sealed = append(names, name), append(plain, src), append(sealed, fakeSeal(f, src, spans, 1))
		}
	})
	before, after := readWithPython(t, plain), readWithPython(t, sealed)
	read := map[string]int{}
	for i, name := range names {
		for _, r := range []struct {
			who   string
			plain []iniEntry
			now   []iniEntry
		}{
			{who: "python", plain: before[i], now: after[i]},
			{who: "go"}, {who: "git"},
		} {
			switch ok := false; r.who {
			case "go":
				if r.plain, ok = readWithGo(plain[i]); ok {
					r.now, ok = readWithGo(sealed[i])
				}
				if !ok {
					continue
				}
			case "git":
				if r.plain, ok = readWithGit(t, plain[i]); ok {
					if r.now, ok = readWithGit(t, sealed[i]); !ok && !hasSwallowed(plain[i]) {
						t.Errorf("git does not read %s any more:\n%s", name, sealed[i])
					}
				}
			}
			if r.plain == nil || r.now == nil {
				continue
			}
			read[r.who]++
			compareINI(t, r.who+": "+name, plain[i], r.plain, r.now)
		}
	}
	t.Logf("%d documents, read by %v", len(names), read)
	if read["python"] < 20 || read["go"] < 15 || read["git"] < 10 {
		t.Errorf("too few documents were read: %v", read)
	}
}

// compareINI holds what a program reads of the sealed document against the
// plain one. Keys that stand in a value, and lines without a key, are gone.
func compareINI(t *testing.T, who string, src []byte, plain, sealed []iniEntry) {
	t.Helper()
	keys := func(list []iniEntry) (keys []string) {
		for _, e := range list {
			if k := e.Section + "\x00" + e.Key; !fakeTokens.MatchString(k) && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		return keys
	}
	was, is := keys(plain), keys(sealed)
	if strings.HasPrefix(who, "python") && !hasOpenQuote(src) || !hasSwallowed(src) {
		was = slices.DeleteFunc(was, func(k string) bool { return isWord(src, k[strings.IndexByte(k, 0)+1:]) })
		if !slices.Equal(was, is) {
			t.Errorf("%s: keys %q became %q", who, was, is)
		}
	}
	lines, _ := iniLines(src)
	for _, k := range is { // behind C:\dir\ some see no key, and leafseal does
		ours := slices.ContainsFunc(lines, func(l iniLine) bool { return l.kind == iniKey && strings.HasSuffix(k, "\x00"+l.key) })
		if !slices.Contains(was, k) && !ours {
			t.Errorf("%s: the key %q is new", who, k)
		}
	}
	for _, e := range sealed {
		clear := fakeTokens.ReplaceAllString(e.Value, "")
		if fakeTokens.MatchString(e.Key) && e.Value == "true" { // what the library says of a key alone
			clear = ""
		}
		// For Python, an address as a key ends at its colon.
		if clear != "" && !strings.HasPrefix(e.Key, "//") && !bytes.Contains(src, []byte("\n//"+clear)) {
			t.Errorf("%s: %s %s has %q in clear", who, e.Section, e.Key, clear)
		}
	}
}

// hasOpenQuote reports whether the quote of a value closes lines further down,
// which Python knows nothing of.
func hasOpenQuote(src []byte) bool {
	lines, _ := iniLines(src)
	return slices.ContainsFunc(lines, func(l iniLine) bool {
		first, _, _ := bytes.Cut(src[l.value.Start:l.value.End], []byte("\n"))
		return openQuote(first) != ""
	})
}

func isWord(src []byte, key string) bool {
	lines, _ := iniLines(src)
	return slices.ContainsFunc(lines, func(l iniLine) bool { return l.kind == iniWord && string(src[l.value.Start:l.value.End]) == key })
}

// TestINIText: for the values whose reading is not in question, the text is
// the one that Python has, without the quotes that Python keeps.
func TestINIText(t *testing.T) {
	var docs, names = [][]byte{}, []string{}
	files(t, "roundtrip", func(name string, f *Format, src []byte) {
		if _, err := f.Find(src); f == &INI && err == nil {
			names, docs = append(names, name), append(docs, src)
		}
	})
	compared := 0
	for i, entries := range readWithPython(t, docs) {
		lines, _ := iniLines(docs[i])
		for _, e := range entries {
			var found []iniLine
			for _, l := range lines {
				if l.kind == iniKey && l.key == e.Key && (len(l.section) == 0 && e.Section == "top of the file" || len(l.section) == 1 && l.section[0].Key == strings.TrimSpace(e.Section)) {
					found = append(found, l)
				}
			}
			if len(found) != 1 {
				continue // repeated, or git's own kind of section
			}
			v := found[0].value
			if text := docs[i][v.Start:v.End]; bytes.Contains(text, []byte("\\\n")) || openQuote(bytes.SplitN(text, []byte("\n"), 2)[0]) != "" || bytes.HasPrefix(text, []byte("//")) {
				continue
			}
			compared++
			if got, err := textINI(docs[i], v); err != nil || got != unquoteINI(e.Value) {
				t.Errorf("%s: %s is read as %q, by Python as %q (%v)", names[i], e.Key, got, e.Value, err)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d values were compared", compared)
	}
}
