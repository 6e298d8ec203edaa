package migrate

import (
	"bytes"
	"slices"
	"strings"

	"github.com/leafseal/leafseal/internal/span"
)

// iniReader reads the INI files that sops writes (through gopkg.in/ini.v1).
// What that library would read in a way of its own is refused.
type iniReader struct {
	src     []byte
	doc     branch
	meta    map[string]string
	lines   []flatLine
	waiting []*leaf // comments in front of a section or key: they belong to it
	inMeta  bool
	n       int // line
}

// loadINI reads an encrypted file.
func (s *sopsFile) loadINI() (map[string]any, error) {
	r := &iniReader{src: s.src, doc: branch{{key: "DEFAULT", value: branch{}}}, meta: map[string]string{}}
	var cuts []edit
	for at := 0; at < len(s.src); {
		r.n++
		next, err := r.line(at, lineEnd(s.src, at))
		if err != nil {
			return nil, err
		}
		if r.inMeta {
			cuts = append(cuts, edit{at, min(next, len(s.src)), ""})
		}
		at = next
	}
	s.docs = []branch{r.doc}
	s.plain = func() ([]byte, error) {
		for _, l := range r.lines {
			if l.leaf.opened {
				cuts = append(cuts, edit{l.start, l.end, plainINI(l.leaf)})
			}
		}
		plain := apply(s.src, cuts)
		if trimmed := bytes.TrimRight(plain, "\r\n"); len(trimmed) < len(plain) && len(trimmed) > 0 {
			plain = append(trimmed, '\n') // the blank line in front of the metadata
		}
		s.flat, s.asText = r.known(plain)
		return plain, nil
	}
	return unflatten(r.meta)
}

// known says of the values in the plaintext whether sops encrypted them. It
// is not ok unless leafseal reads the same values as sops, one by one.
func (r *iniReader) known(plain []byte) (flat func(span.Span) (secret, known bool), differs bool) {
	leaves := slices.DeleteFunc(slices.Clone(r.lines), func(l flatLine) bool { return l.leaf.isComment })
	spans, err := span.INI.Find(plain)
	spans = slices.DeleteFunc(spans, func(sp span.Span) bool { return sp.Kind != span.Value })
	if err != nil || len(spans) != len(leaves) {
		return nil, true
	}
	secret := map[int]bool{}
	for i, sp := range spans {
		text, err := span.INI.Text(plain, sp)
		if err != nil || text != flatText(leaves[i].leaf.value) || sp.Path[len(sp.Path)-1].Key != leaves[i].key {
			return nil, true
		}
		secret[sp.Start] = leaves[i].leaf.selected
	}
	return func(sp span.Span) (bool, bool) { return secret[sp.Start], true }, false
}

// line reads one line, and returns where the next begins.
func (r *iniReader) line(at, end int) (next int, err error) {
	line := strings.TrimSpace(string(r.src[at:end]))
	switch {
	case line == "":
	case line[0] == ';' || line[0] == '#':
		text := strings.TrimLeft(line[1:], string(line[0])+" ")
		l := &leaf{isComment: true, text: text, line: r.n}
		r.waiting = append(r.waiting, l)
		r.lines = append(r.lines, flatLine{start: at + bytes.Index(r.src[at:end], []byte(text)), end: end, leaf: l})
	case line[0] == '[':
		if line[len(line)-1] != ']' {
			return 0, r.refuse("a section whose name does not end with its line")
		}
		name := line[1 : len(line)-1]
		if r.inMeta = name == metaKey; !r.inMeta {
			r.doc = append(r.doc, item{key: name, value: branch{}})
			r.settle()
		}
	default:
		key, raw, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); !ok || key == "" || strings.ContainsAny(key, "\"`:") {
			return 0, r.refuse("a line that is no plain \"key = value\"")
		}
		if r.inMeta {
			return r.metadata(key, strings.TrimSpace(raw), at, end)
		}
		return end + 1, r.value(key, strings.TrimSpace(raw), at, end)
	}
	return end + 1, nil
}

func (r *iniReader) refuse(why string) error {
	e := fail(ErrUnsupported, "%s", why)
	e.Line = r.n
	return e
}

// settle gives the waiting comments to the section.
func (r *iniReader) settle() {
	section := &r.doc[len(r.doc)-1]
	for _, c := range r.waiting {
		section.value = append(section.value.(branch), item{comment: c})
	}
	r.waiting = nil
}

func (r *iniReader) value(key, raw string, at, end int) error {
	value, ok := iniValue(raw)
	if !ok {
		return r.refuse("a value in clear whose quotes, comment or continuation INI readers take differently")
	}
	l := &leaf{value: value, line: r.n}
	section := &r.doc[len(r.doc)-1]
	section.value = append(section.value.(branch), item{key: key, value: l})
	r.settle()
	start := at + bytes.IndexByte(r.src[at:end], '=') + 1
	start += len(r.src[start:end]) - len(bytes.TrimLeft(r.src[start:end], " \t"))
	r.lines = append(r.lines, flatLine{start: start, end: end, key: key, leaf: l})
	return nil
}

// metadata reads a field, which sops 3.13.0 wrote over several lines.
func (r *iniReader) metadata(key, raw string, at, end int) (next int, err error) {
	const quotes = `"""`
	if strings.HasPrefix(raw, quotes) && strings.Count(raw, quotes) == 1 {
		start := at + bytes.Index(r.src[at:end], []byte(quotes)) + len(quotes)
		n := bytes.Index(r.src[start:], []byte(quotes))
		if n < 0 {
			return 0, r.refuse("a value that has no end")
		}
		raw = string(r.src[start : start+n])
		r.n += strings.Count(raw, "\n")
		end = lineEnd(r.src, start+n)
	}
	if len(raw) > 1 && raw[0] == '`' && raw[len(raw)-1] == '`' {
		raw = raw[1 : len(raw)-1]
	}
	r.meta[key] = unescapeLines(strings.Trim(raw, `"`))
	return end + 1, nil
}

// iniValue reads a value in clear as ini.v1 does.
func iniValue(raw string) (string, bool) {
	if len(raw) >= 2 && strings.IndexByte("\"'`", raw[0]) >= 0 && raw[len(raw)-1] == raw[0] {
		inner := raw[1 : len(raw)-1]
		return inner, !strings.ContainsAny(inner, "\"'`\\")
	}
	return raw, strings.HasPrefix(raw, "ENC[") || !strings.ContainsAny(raw, "\"'`;#\\")
}

// plainINI writes a value or comment as sops does, or in quotes where that
// would be read as something else.
func plainINI(l *leaf) string {
	text := iniText(l)
	for _, quote := range []string{"", "`", `"""`, `"`, "'"} {
		quoted := quote + flatText(l.value) + quote
		if quote == "" {
			quoted = text
		}
		if !l.isComment && givenBack(quoted, flatText(l.value)) {
			return quoted
		}
	}
	return text
}

// givenBack reports whether a value in INI is read as text, and nothing else.
func givenBack(raw, text string) bool {
	src := []byte("k = " + raw + "\nz = 1\n")
	spans, err := span.INI.Find(src)
	if err != nil || len(spans) != 2 {
		return false
	}
	got, err := span.INI.Text(src, spans[0])
	return err == nil && got == text
}

// iniText writes a value or comment as ini.v1 does.
func iniText(l *leaf) string {
	text := flatText(l.value)
	switch {
	case l.isComment:
		lines := strings.Split(text, "\n")
		for i := 1; i < len(lines); i++ {
			if lines[i] != "" && lines[i][0] != ';' && lines[i][0] != '#' {
				lines[i] = "; " + lines[i]
			}
		}
		return strings.Join(lines, "\n")
	case strings.ContainsAny(text, "\n`"):
		return `"""` + text + `"""`
	case strings.ContainsAny(text, "#;"):
		return "`" + text + "`"
	case strings.TrimSpace(text) != text:
		return `"` + text + `"`
	}
	return text
}
