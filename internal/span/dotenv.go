package span

import (
	"bytes"
	"strings"
)

// Dotenv is the format of .env files. Loaders differ: sh expands variables
// and joins quoted pieces, docker takes quotes and comments literally, node's
// dotenv cuts an unquoted value at any "#". What they read differently stays
// inside the span of the value, so that it is sealed and restored as it is.
var Dotenv = Format{
	Name:    "dotenv",
	Comment: "#",
	Match: func(base string) bool {
		base = strings.ToLower(base)
		return base == ".env" || base == ".envrc" || strings.HasPrefix(base, ".env.") || strings.HasSuffix(base, ".env")
	},
	Find:   findDotenv,
	Text:   textDotenv,
	Quote:  quoteDotenv,
	Insert: insertDotenv,
	Delete: deleteDotenv,
}

// envLine is one logical line: quoted values may span several.
type envLine struct {
	start, end int    // without the line break
	export     bool   // written with "export"
	key        string // empty: not an assignment
	value      Span   // where Kind is Value
	comment    Span   // where Kind is Comment
}

func findDotenv(src []byte) ([]Span, error) {
	spans := make([]Span, 0, bytes.Count(src, []byte{'\n'})+1)
	err := eachEnvLine(src, func(l *envLine) {
		if l.value.Kind == Value {
			spans = append(spans, l.value)
		}
		if l.comment.Kind == Comment {
			spans = append(spans, l.comment)
		}
	})
	return spans, err
}

func eachEnvLine(src []byte, f func(*envLine)) error {
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return &Error{i, "not a text file: there is a zero byte", "--opaque encrypts it as a whole"}
	}
	pos := 0
	if bytes.HasPrefix(src, []byte(bom)) {
		pos = len(bom)
	}
	for pos < len(src) {
		l, err := readEnvLine(src, pos)
		if err != nil {
			return err
		}
		f(&l)
		pos = l.end
		for pos < len(src) && src[pos] != '\n' {
			pos++
		}
		pos++
	}
	return nil
}

func envLines(src []byte) (lines []envLine, err error) {
	err = eachEnvLine(src, func(l *envLine) { lines = append(lines, *l) })
	return lines, err
}

func readEnvLine(src []byte, start int) (envLine, error) {
	l := envLine{start: start, end: lineEnd(src, start)}
	at := skipBlanks(src, start, l.end)
	if at == l.end {
		return l, nil
	}
	if src[at] == '#' {
		l.comment = commentSpan(src, at, l.end)
		return l, nil
	}
	key, value, export := assignment(src, at, l.end)
	if value < 0 {
		l.value = Span{Start: at, End: trimBlanks(src, at, l.end), Kind: Value, Path: []Step{{Kind: "line"}}}
		return l, nil
	}
	l.key, l.export = key, export
	l.value = Span{Start: value, End: trimBlanks(src, value, l.end), Kind: Value, Path: []Step{{Kind: "str", Key: key}}}
	if value < l.end && strings.IndexByte("'\"`", src[value]) >= 0 {
		return l, quotedEnv(src, &l)
	}
	if bytes.HasPrefix(src[value:l.end], []byte("-----BEGIN ")) && !bytes.Contains(src[value:l.end], []byte("-----END")) {
		return l, &Error{value, "a value of several lines without quotes", "put it in double quotes: its other lines would be taken for names"}
	}
	// A token stands for a quoted value: the comment behind it is its own.
	text := src[l.value.Start:l.value.End]
	l.value.Commented = unquotedEnd(text) < len(text)
	if end := unquotedEnd(text); end < len(text) && Token(text[:end]) {
		l.value.End, l.value.Commented = value+end, false
		l.comment = commentSpan(src, skipBlanks(src, l.value.End, l.end), l.end)
	}
	return l, nil
}

// quotedEnv finds the end of a quoted value, which may be lines further down,
// and the comment behind it.
func quotedEnv(src []byte, l *envLine) error {
	start := l.value.Start
	quote := src[start]
	end := start + 1
	for ; end < len(src) && src[end] != quote; end++ {
		if quote == '"' && src[end] == '\\' {
			end++
		}
	}
	if end >= len(src) {
		return &Error{start, "a quote that is never closed", ""}
	}
	end++
	l.end = lineEnd(src, end)
	rest := skipBlanks(src, end, l.end)
	switch {
	case rest == l.end:
		l.value.End = end
	case src[rest] == '#' && rest > end:
		l.value.End = end
		l.comment = commentSpan(src, rest, l.end)
	default: // pieces that sh would join
		l.value.End = trimBlanks(src, end, l.end)
		l.value.Commented = unquotedEnd(src[end:l.end]) < l.end-end
	}
	return nil
}

// assignment reads "export KEY =" and returns where the value begins; -1 if
// the line is none.
func assignment(src []byte, at, end int) (key string, value int, export bool) {
	if rest, ok := bytes.CutPrefix(src[at:end], []byte("export")); ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		at = skipBlanks(src, at+len("export"), end)
		export = true
	}
	from := at
	for at < end && keyByte(src[at], at == from) {
		at++
	}
	key = string(src[from:at])
	mark := skipBlanks(src, at, end)
	switch {
	case key == "" || mark == end:
		return "", -1, false
	case src[mark] == '=':
	case src[mark] == ':' && mark == at && mark+1 < end && (src[mark+1] == ' ' || src[mark+1] == '\t'):
	default:
		return "", -1, false
	}
	return key, skipBlanks(src, mark+1, end), export
}

func keyByte(c byte, first bool) bool {
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
	return letter || !first && ('0' <= c && c <= '9' || c == '.' || c == '-')
}

// commentSpan is the text behind the "#" at offset at; no span if it is empty.
func commentSpan(src []byte, at, end int) Span {
	from := skipBlanks(src, at+1, end)
	to := trimBlanks(src, from, end)
	if from == to {
		return Span{}
	}
	return Span{Start: from, End: to, Kind: Comment, Starts: true}
}

// lineEnd is the end of the line that holds at, without its break.
func lineEnd(src []byte, at int) int {
	n := bytes.IndexByte(src[at:], '\n')
	if n < 0 {
		return len(src)
	}
	if n > 0 && src[at+n-1] == '\r' {
		n--
	}
	return at + n
}

func skipBlanks(src []byte, at, end int) int {
	for at < end && (src[at] == ' ' || src[at] == '\t') {
		at++
	}
	return at
}

func trimBlanks(src []byte, start, end int) int {
	for end > start && (src[end-1] == ' ' || src[end-1] == '\t') {
		end--
	}
	return end
}

// textDotenv reads a value as loaders do: escapes in double quotes, none in
// others; an unquoted value ends at a blank and "#". Nothing is expanded.
func textDotenv(src []byte, s Span) (string, error) {
	text := src[s.Start:s.End]
	if len(text) >= 2 && strings.IndexByte("'\"`", text[0]) >= 0 && closesAtEnd(text) {
		inner := text[1 : len(text)-1]
		if text[0] == '"' {
			return unescapeEnv(inner), nil
		}
		return string(inner), nil
	}
	return string(text[:unquotedEnd(text)]), nil
}

// closesAtEnd reports whether the quote that opens text closes at its end.
func closesAtEnd(text []byte) bool {
	for i := 1; i < len(text); i++ {
		if text[0] == '"' && text[i] == '\\' {
			i++
		} else if text[i] == text[0] {
			return i == len(text)-1
		}
	}
	return false
}

// unquotedEnd is where an unquoted value ends: in front of blanks and "#".
func unquotedEnd(text []byte) int {
	for i, c := range text {
		if c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return trimBlanks(text, 0, i)
		}
	}
	return len(text)
}

func unescapeEnv(inner []byte) string {
	var out []byte
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' || i+1 == len(inner) {
			out = append(out, inner[i])
			continue
		}
		i++
		switch inner[i] {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case '\n':
		case '"', '\\', '$', '`':
			out = append(out, inner[i])
		default:
			out = append(out, '\\', inner[i])
		}
	}
	return string(out)
}

// quoteDotenv writes a value in the style that stands there.
func quoteDotenv(text string, src []byte, s Span) ([]byte, error) {
	if s.Path[0].Kind == "line" {
		return nil, &Error{s.Start, "this line is no assignment", "leafseal edit can change it"}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, errorAt(s.Start, "a dotenv file cannot hold a zero byte")
	}
	old := src[s.Start:s.End]
	if len(old) >= 2 && strings.IndexByte("'\"`", old[0]) >= 0 && closesAtEnd(old) {
		if old[0] == '"' || strings.IndexByte(text, old[0]) >= 0 {
			return doubleQuoted(text), nil
		}
		return append(append([]byte{old[0]}, text...), old[0]), nil
	}
	tail := old[unquotedEnd(old):] // a comment that loaders may or may not see
	word := wordEnv(text)
	if len(tail) > 0 && tail[0] == '#' {
		word = append(word, ' ')
	}
	return append(word, tail...), nil
}

// wordEnv writes text without quotes where every loader reads it back.
func wordEnv(text string) []byte {
	plain := true
	for i := range len(text) {
		c := text[i]
		plain = plain && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-+=:,./@%^", c) >= 0)
	}
	switch {
	case plain:
		return []byte(text)
	case !strings.ContainsAny(text, "'\n\r"):
		return []byte("'" + text + "'")
	}
	return doubleQuoted(text)
}

func doubleQuoted(text string) []byte {
	out := []byte{'"'}
	for i := range len(text) {
		switch c := text[i]; c {
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '"', '\\', '$', '`':
			out = append(out, '\\', c)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

func insertDotenv(src []byte, _ int, path []Step, text string) ([]byte, error) {
	if len(path) != 1 || path[0].Kind == List || !validEnvKey(path[0].Key) {
		return nil, &Error{len(src), "a dotenv file holds only KEY=VALUE", "a key has letters, digits, _, . and -"}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, errorAt(len(src), "a dotenv file cannot hold a zero byte")
	}
	lines, err := envLines(src)
	if err != nil {
		return nil, err
	}
	line := path[0].Key + "=" + string(wordEnv(text))
	for _, l := range lines {
		if l.key == path[0].Key {
			return nil, errorAt(l.start, "there is a value already")
		}
	}
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].key != "" {
			if lines[i].export {
				line = "export " + line
			}
			break
		}
	}
	eol := lineBreak(src)
	out := append([]byte(nil), src...)
	if len(src) > 0 && src[len(src)-1] != '\n' {
		return append(append(out, eol...), line...), nil
	}
	return append(append(out, line...), eol...), nil
}

func validEnvKey(key string) bool {
	for i := range len(key) {
		if !keyByte(key[i], i == 0) {
			return false
		}
	}
	return key != ""
}

func deleteDotenv(src []byte, _ int, path []Step) ([]byte, error) {
	lines, err := envLines(src)
	if err != nil {
		return nil, err
	}
	found := -1
	for i, l := range lines {
		if len(path) != 1 || l.key == "" || l.key != path[0].Key {
			continue
		}
		if found >= 0 {
			return nil, errorAt(l.start, "the key stands there twice: the path is ambiguous")
		}
		found = i
	}
	if found < 0 {
		return nil, errorAt(0, "there is no such value")
	}
	end := len(src)
	if found+1 < len(lines) {
		end = lines[found+1].start
	}
	return append(append([]byte(nil), src[:lines[found].start]...), src[end:]...), nil
}
