package migrate

import (
	"bytes"
	"strings"
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
				cuts = append(cuts, edit{l.start, l.end, iniText(l.leaf)})
			}
		}
		plain := apply(s.src, cuts)
		if trimmed := bytes.TrimRight(plain, "\r\n"); len(trimmed) < len(plain) && len(trimmed) > 0 {
			plain = append(trimmed, '\n') // the blank line in front of the metadata
		}
		return plain, nil
	}
	return unflatten(r.meta)
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
		name := strings.TrimSpace(line[1 : len(line)-1])
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
	r.lines = append(r.lines, flatLine{start: start, end: end, leaf: l})
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
