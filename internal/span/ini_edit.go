package span

import (
	"bytes"
	"slices"
	"strings"
)

// What programs see of INI values, and changes of INI documents.

// textINI is the common denominator of readers: white space around a value
// goes, and quotes around all of it. Comments behind a value stay in it, and
// no escapes are read. Lines that are indented are joined by line breaks, as
// for Python, those behind a backslash follow directly, as for git.
func textINI(src []byte, s Span) (string, error) {
	text := src[s.Start:s.End]
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	if openQuote([]byte(lines[0])) != "" {
		return unquoteINI(strings.Join(lines, "\n")), nil
	}
	out := []byte(strings.Trim(lines[0], " \t"))
	for _, line := range lines[1:] {
		line = strings.Trim(line, " \t")
		switch {
		case line != "" && (line[0] == ';' || line[0] == '#'):
			continue
		case oddBackslash(out):
			out = out[:len(out)-1]
		default:
			out = append(out, '\n')
		}
		out = append(out, line...)
	}
	return unquoteINI(string(out)), nil
}

func unquoteINI(text string) string {
	for _, quote := range []string{`"""`, `"`, "'", "`"} {
		inner, opens := strings.CutPrefix(text, quote)
		inner, closes := strings.CutSuffix(inner, quote)
		if opens && closes && !strings.Contains(inner, quote) {
			return inner
		}
	}
	return text
}

// quoteINI writes a value in the style that stands there.
func quoteINI(text string, src []byte, s Span) ([]byte, error) {
	if s.Path[len(s.Path)-1].Kind == "line" {
		return nil, &Error{s.Start, "this line has no key", "leafseal edit can change it"}
	}
	prefix := src[bytes.LastIndexByte(src[:s.Start], '\n')+1 : s.Start]
	word := wordINI(text, prefix, src[s.Start:s.End], lineBreak(src))
	if word == nil {
		return nil, errorAt(s.Start, "an INI file cannot hold this text in a value that is read back the same")
	}
	return word, nil
}

// wordINI writes text behind prefix, which is a line up to its value: in the
// quotes of another value, as it is, or in quotes, whatever is read back the
// same. It returns nil if nothing is.
func wordINI(text string, prefix, like []byte, eol string) []byte {
	indent := lineIndent(prefix, len(prefix))
	if indent = strings.TrimPrefix(indent, bom); strings.HasPrefix(indent, "\t") {
		indent += "\t"
	} else {
		indent += "    "
	}
	if _, rest, ok := bytes.Cut(like, []byte("\n")); ok { // the indentation of its second line
		if have := lineIndent(rest, 0); len(have) > 0 {
			indent = have
		}
	}
	lines := strings.Split(text, "\n")
	for i := 1; i < len(lines); i++ {
		if lines[i] != "" {
			lines[i] = indent + lines[i]
		}
	}
	words := []string{strings.Join(lines, eol), `"` + text + `"`, "'" + text + "'", `"""` + text + `"""`}
	if q := quotedINI(like); q != "" {
		words = slices.Insert(words, 0, q+text+q)
	}
	for _, word := range words {
		if readsBack(slices.Concat(prefix, []byte(word)), len(prefix), text) {
			return []byte(word)
		}
	}
	return nil
}

// quotedINI is the quote around a value, or "".
func quotedINI(value []byte) string {
	if text := string(value); len(value) > 1 && unquoteINI(text) != text {
		return text[:(len(text)-len(unquoteINI(text)))/2]
	}
	return ""
}

// readsBack reports whether a line is one key with one value, from start to
// its end, that is read as text.
func readsBack(line []byte, start int, text string) bool {
	lines, err := iniLines(line)
	if err != nil || len(lines) != 1 || lines[0].kind != iniKey {
		return false
	}
	v := lines[0].value
	got, err := textINI(line, v)
	return err == nil && got == text && v.Start == start && v.End == len(line) && !oddBackslash(line[start:])
}

func insertINI(src []byte, _ int, path []Step, text string) ([]byte, error) {
	section, key := path[:len(path)-1], path[len(path)-1].Key
	header, ok := headerINI(section)
	if !ok || path[len(path)-1].Kind == List {
		return nil, &Error{len(src), "an INI file has sections and keys, and nothing below them", `a path is written section.key, or section.sub.key for [section "sub"]`}
	}
	lines, err := iniLines(src)
	if err != nil {
		return nil, err
	}
	at, like := -1, -1 // the line that the new one follows, and the one that it looks like
	for i, l := range lines {
		here := sameKeys(l.section, section)
		if here && l.kind != iniBlank {
			at = i
		}
		if here && l.kind == iniKey && l.key == key {
			return nil, errorAt(l.start, "there is a value already")
		}
		oneLine := l.value.End > l.value.Start && bytes.IndexByte(src[l.value.Start:l.value.End], '\n') < 0
		if l.kind == iniKey && oneLine && (here || like < 0 || !sameKeys(lines[like].section, section)) {
			like = i
		}
	}
	eol := lineBreak(src)
	indent, sep, style := "", " = ", []byte(nil)
	if like >= 0 {
		l := &lines[like]
		style = src[l.value.Start:l.value.End]
		sep = string(src[l.keyEnd:l.value.Start])
		if len(l.section) > 0 || len(section) == 0 {
			indent = string(src[l.start : l.start+l.indent])
		}
	}
	prefix := []byte(indent + key + sep)
	word := wordINI(text, prefix, style, eol)
	if added, err := iniLines(prefix); word == nil || err != nil || len(added) != 1 || added[0].key != key {
		return nil, &Error{len(src), "an INI file cannot hold this key or text so that it is read back the same", `a key holds no "=" and no ":"`}
	}
	line := string(prefix) + string(word)
	switch {
	case at >= 0:
		return addLine(src, lines[at].end, line, eol), nil
	case len(section) == 0:
		return addRootKey(src, lines, line, eol), nil
	}
	if len(lines) > 0 && lines[len(lines)-1].start < lines[len(lines)-1].end {
		header = eol + header
	}
	return addLine(src, len(src), header+eol+line, eol), nil
}

// headerINI is the line that begins a section; ok is false if none can.
func headerINI(section []Step) (header string, ok bool) {
	switch len(section) {
	case 0:
		return "", true
	case 1:
		header = "[" + section[0].Key + "]"
	case 2:
		header = "[" + section[0].Key + ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(section[1].Key) + `"]`
	default:
		return "", false
	}
	lines, err := iniLines([]byte(header))
	return header, err == nil && len(lines) == 1 && lines[0].kind == iniSection && lines[0].comment.Kind == 0 && sameKeys(lines[0].section, section)
}

func sameKeys(a, b []Step) bool {
	return slices.EqualFunc(a, b, func(a, b Step) bool { return a.Key == b.Key && (a.Kind == List) == (b.Kind == List) })
}

// addLine puts a line behind the one that ends at end.
func addLine(src []byte, end int, line, eol string) []byte {
	next := nextLine(src, end)
	if next > 0 && src[next-1] != '\n' { // the last line, and it has no break
		return slices.Concat(src, []byte(eol+line))
	}
	return slices.Concat(src[:next], []byte(line+eol), src[next:])
}

// addRootKey puts the first key that is in no section in front of all, or at
// the end if there are no sections.
func addRootKey(src []byte, lines []iniLine, line, eol string) []byte {
	if !slices.ContainsFunc(lines, func(l iniLine) bool { return l.kind == iniSection }) {
		return addLine(src, len(src), line, eol)
	}
	at := lines[0].start
	if lines[0].start < lines[0].end {
		line += eol
	}
	return slices.Concat(src[:at], []byte(line+eol), src[at:])
}

// deleteINI takes out the line of a key, or a section's name and its keys.
// Comments stay.
func deleteINI(src []byte, _ int, path []Step) ([]byte, error) {
	lines, err := iniLines(src)
	if err != nil {
		return nil, err
	}
	keys, inside := 0, 0
	var out []byte
	last := 0
	for _, l := range lines {
		isKey := l.kind == iniKey && sameKeys(append(l.section[:len(l.section):len(l.section)], Step{Kind: "str", Key: l.key}), path)
		below := l.kind != iniBlank && len(l.section) >= len(path) && sameKeys(l.section[:len(path)], path)
		switch {
		case isKey:
			keys++
		case below:
			inside++
		default:
			continue
		}
		out = append(out, src[last:l.start]...)
		last = nextLine(src, l.end)
	}
	switch {
	case keys+inside == 0:
		return nil, errorAt(0, "there is no such value")
	case keys > 1 || keys > 0 && inside > 0:
		return nil, errorAt(0, "the key stands there twice: the path is ambiguous")
	}
	return append(out, src[last:]...), nil
}
