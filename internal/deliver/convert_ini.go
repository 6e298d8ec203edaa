package deliver

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leafseal/leafseal/internal/span"
)

func decodeINI(d *decoder) *node {
	lines, err := span.INILines(d.src)
	if err != nil {
		return nil
	}
	root := &node{kind: aMap, line: 1}
	section, path := root, []string(nil)
	for _, l := range lines {
		line, name := d.lineAt(l.Start), l.Path[len(l.Path)-1]
		item := &node{kind: aText, text: string(d.src[l.Value.Start:l.Value.End]), line: line}
		switch {
		case l.Value.Kind != span.Value:
			if path = []string{l.Path[0].Key}; len(l.Path) > 1 {
				d.add(line, path, `a section [name "sub"], which some readers take for two levels`)
			}
			item.kind = aMap
			root.names, root.items = append(root.names, name.Key), append(root.items, item)
			section = item
			continue
		case name.Kind == "line":
			d.add(line, path, "a line without a key")
			continue
		case l.Value.Always:
			d.add(line, append(path, name.Key), "a value of which some readers take a part for a key")
		}
		section.names, section.items = append(section.names, name.Key), append(section.items, item)
	}
	d.losses.ini(root, nil)
	return root
}

// ini notes what the readers of INI take for different data. Python's
// configparser, git, systemd and gopkg.in/ini.v1 agree on one level of
// sections, and on texts without marks of comments, quotes, escapes and
// variables.
func (l *losses) ini(n *node, path []string) {
	seen, sections := map[string]bool{}, false
	for i, item := range n.items {
		name, at := n.names[i], n.step(path, i)
		folded := strings.ToLower(name)
		if seen[folded] {
			l.add(item.line, at, "a name for the second time, or one that differs only in case")
		}
		seen[folded] = true
		switch {
		case item.kind == aMap && path == nil:
			if !sectionINI(name) {
				l.add(item.line, at, "a name of which readers of INI make different sections, or none")
			}
			sections = true
			l.ini(item, at)
		case item.kind == aMap:
			l.add(item.line, at, "a map in a map, where INI has one level of sections")
		case item.kind == unknown:
		case item.kind != aText:
			l.add(item.line, at, "%s, and an INI file holds only texts", item.kind)
		case sections:
			l.add(item.line, at, "a text behind a section, to which it would belong in an INI file")
		case !keyINI().MatchString(name):
			l.add(item.line, at, "a key that readers of INI take for different ones")
		default:
			if odd := oddINI(item.text); odd != "" {
				l.add(item.line, at, "a text with %s, which readers of INI take for different ones", odd)
			}
		}
	}
}

var keyINI = lazy(`^[\pL\pN_][\pL\pN_./@*+-]*$`)

// sectionINI reports whether all readers take name for the same section. What
// is in DEFAULT some put into all others.
func sectionINI(name string) bool {
	return name != "" && name != "DEFAULT" && oddINI(name) == "" && !strings.ContainsAny(name, "[]")
}

// oddINI says what in a text is read differently; "" if nothing is.
func oddINI(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "bytes that are not valid UTF-8"
	case strings.ContainsAny(text, ";#"):
		return "; or #"
	case strings.ContainsAny(text, "\"'`"):
		return "quotes"
	case strings.Contains(text, `\`):
		return "a backslash"
	case strings.Contains(text, "%") || strings.Contains(text, "${"):
		return "% or ${"
	case strings.Contains(text, "\n"):
		return "a line break"
	case strings.TrimSpace(text) != text:
		return "blanks around it"
	case strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) >= 0:
		return "control characters"
	}
	return ""
}

func encodeINI(e *encoder, n *node) {
	if n.kind != aMap {
		if n.kind != unknown {
			e.add(n.line, nil, "%s at the root, where an INI file has sections and texts", n.kind)
		}
		return
	}
	if e.ini(n, nil); len(e.losses) > 0 {
		return
	}
	e.iniItems(n, nil)
	e.comments("", n.above)
}

func (e *encoder) iniItems(n *node, path []string) {
	for i, item := range n.items {
		at := n.step(path, i)
		if item.kind == aMap && e.out.Len() > 0 {
			e.out.WriteByte('\n')
		}
		e.comments("", item.around()) // behind a value it would be a part of that
		if item.kind == aMap {
			e.out.WriteString("[" + n.names[i] + "]\n")
			e.iniItems(item, at)
			continue
		}
		line, err := span.INI.Insert(nil, 0, []span.Step{{Kind: "str", Key: n.names[i]}}, item.text)
		if err != nil {
			e.add(item.line, at, "a text that an INI file holds on several lines, or not at all")
		}
		e.out.WriteString(strings.TrimSuffix(string(line), "\n") + "\n")
	}
}
