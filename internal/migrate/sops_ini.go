package migrate

import (
	"bytes"
	"strings"
)

// loadINI reads the INI files that sops writes (through gopkg.in/ini.v1). What
// that library would read in a way of its own is refused.
func (s *sopsFile) loadINI() (map[string]any, error) {
	meta := map[string]string{}
	doc := branch{{key: "DEFAULT", value: branch{}}}
	var lines []flatLine
	var cuts []edit
	var waiting []*leaf // comments in front of a section or key: they belong to it
	section := func() *item { return &doc[len(doc)-1] }
	settle := func() {
		for _, c := range waiting {
			section().value = append(section().value.(branch), item{comment: c})
		}
		waiting = nil
	}
	inMeta := false
	for at, n := 0, 1; at < len(s.src); n++ {
		end := lineEnd(s.src, at)
		line := strings.TrimSpace(string(s.src[at:end]))
		next := end + 1
		refuse := func(format string) error {
			e := fail(ErrUnsupported, format)
			e.Line = n
			return e
		}
		switch {
		case line == "":
		case line[0] == ';' || line[0] == '#':
			text := strings.TrimLeft(line[1:], string(line[0])+" ")
			l := &leaf{isComment: true, text: text, line: n}
			waiting = append(waiting, l)
			lines = append(lines, flatLine{start: at + bytes.Index(s.src[at:end], []byte(text)), end: end, leaf: l})
		case line[0] == '[':
			if line[len(line)-1] != ']' {
				return nil, refuse("a section whose name does not end with its line")
			}
			name := strings.TrimSpace(line[1 : len(line)-1])
			if inMeta = name == metaKey; !inMeta {
				doc = append(doc, item{key: name, value: branch{}})
				settle()
			}
		default:
			key, raw, ok := strings.Cut(line, "=")
			if key = strings.TrimSpace(key); !ok || key == "" || strings.ContainsAny(key, "\"`:") {
				return nil, refuse("a line that is no plain \"key = value\"")
			}
			raw = strings.TrimSpace(raw)
			if inMeta {
				if strings.HasPrefix(raw, `"""`) && strings.Count(raw, `"""`) == 1 { // as sops 3.13.0 wrote it
					start := at + bytes.Index(s.src[at:end], []byte(`"""`)) + 3
					stop := bytes.Index(s.src[start:], []byte(`"""`))
					if stop < 0 {
						return nil, refuse("a value that has no end")
					}
					n += bytes.Count(s.src[start:start+stop], []byte("\n"))
					raw = string(s.src[start : start+stop])
					end = lineEnd(s.src, start+stop)
					next = end + 1
				}
				meta[key] = unescapeLines(raw)
				break
			}
			value, ok := iniValue(raw)
			if !ok {
				return nil, refuse("a value in clear whose quotes, comment or continuation INI readers take differently")
			}
			l := &leaf{value: value, line: n}
			section().value = append(section().value.(branch), item{key: key, value: l})
			settle()
			eq := at + bytes.IndexByte(s.src[at:end], '=') + 1
			start := eq + len(s.src[eq:end]) - len(bytes.TrimLeft(s.src[eq:end], " \t"))
			lines = append(lines, flatLine{start: start, end: end, leaf: l})
		}
		if inMeta {
			cuts = append(cuts, edit{at, min(next, len(s.src)), ""})
		}
		at = next
	}
	s.docs = []branch{doc}
	s.plain = func() ([]byte, error) {
		for _, l := range lines {
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
	return unflatten(meta)
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
