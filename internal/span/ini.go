package span

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// INI is the format of files with "key = value" and [sections]. Programs read
// them differently: some cut a value at ";" or "#", some know quotes, or
// backslashes at the end of a line, or indented lines that belong to the value
// above (Python's configparser), some do not. Whatever any of them may take
// for a part of a value is inside its span, so that it is sealed and restored
// as it is.
var INI = Format{
	Name:    "ini",
	Comment: ";",
	Match: func(base string) bool {
		base = strings.ToLower(base)
		return slices.Contains(iniEndings, path.Ext(base)) || slices.Contains(iniNames, base)
	},
	Find:   findINI,
	Text:   textINI,
	Quote:  quoteINI,
	Insert: insertINI,
	Delete: deleteINI,
}

// Names that are INI files wherever they occur. ".conf" is not among them:
// most files of that name are something else.
var (
	iniEndings = []string{".ini", ".cfg", ".cnf", ".service", ".socket", ".timer", ".mount", ".netdev", ".network", ".nspawn", ".container"}
	iniNames   = []string{".pypirc", ".gitconfig", ".gitmodules", ".npmrc", ".editorconfig", ".s3cfg", ".boto", ".hgrc", ".my.cnf", "credentials"}
)

type iniKind byte

const (
	iniBlank   iniKind = iota // nothing, or a comment
	iniSection                // [name], maybe with a comment behind it
	iniKey                    // key = value
	iniWord                   // a line without a key, all of it a value
)

// iniLine is one logical line: a value may span several.
type iniLine struct {
	start, end int // without the last line's break
	kind       iniKind
	indent     int    // bytes of white space in front
	section    []Step // the section that the line names or stands in
	key        string
	keyEnd     int
	value      Span // where Kind is Value
	comment    Span // where Kind is Comment
}

func findINI(src []byte) ([]Span, error) {
	spans := make([]Span, 0, bytes.Count(src, []byte{'\n'})+1)
	err := eachINILine(src, func(l *iniLine) {
		if l.value.Kind == Value {
			spans = append(spans, l.value)
		}
		if l.comment.Kind == Comment {
			spans = append(spans, l.comment)
		}
	})
	return spans, err
}

func iniLines(src []byte) (lines []iniLine, err error) {
	err = eachINILine(src, func(l *iniLine) { lines = append(lines, *l) })
	return lines, err
}

func eachINILine(src []byte, f func(*iniLine)) error {
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return &Error{i, "not a text file: there is a zero byte", "--opaque encrypts it as a whole"}
	}
	pos := 0
	if bytes.HasPrefix(src, []byte(bom)) {
		pos = len(bom)
	}
	if i := loneReturn(src); i >= 0 {
		return &Error{i, "a carriage return that ends no line", "some programs take it for a line break: convert the line ends"}
	}
	var section []Step
	more, quoted := false, false // the values above: the last one ends in a backslash; they hold an odd number of quotes
	for pos < len(src) {
		l, err := readINILine(src, pos, section)
		if err != nil {
			return err
		}
		section = l.section
		if text := src[l.value.Start:l.value.End]; l.value.Kind == Value {
			l.value.Always = l.value.Always || more || quoted // some programs take it for a part of those
			more = bytes.HasSuffix(text, []byte(`\`))
			quoted = quoted != (bytes.Count(text, []byte(`"`))%2 == 1)
		} else if l.kind == iniSection || l.indent == l.end-l.start {
			more = false
		}
		f(&l)
		pos = nextLine(src, l.end)
	}
	return nil
}

// loneReturn is the offset of the first CR that is not in front of LF, or -1.
func loneReturn(src []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(src[from:], '\r')
		if i < 0 {
			return -1
		}
		from += i + 1
		if from == len(src) || src[from] != '\n' {
			return from - 1
		}
	}
}

// nextLine is where the line behind the one that holds at begins.
func nextLine(src []byte, at int) int {
	if n := bytes.IndexByte(src[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(src)
}

func readINILine(src []byte, start int, section []Step) (iniLine, error) {
	l := iniLine{start: start, end: lineEnd(src, start), section: section}
	at := skipBlanks(src, start, l.end)
	l.indent = at - start
	switch {
	case at == l.end:
		return l, nil
	case src[at] == ';' || src[at] == '#':
		l.comment = commentSpan(src, at, l.end)
		return l, nil
	case src[at] == '[':
		return l, l.readSection(src, at)
	case otherSpace(src[at:l.end]):
		return l, &Error{at, "white space other than space and tab in front of a line", "some programs take the line for a part of the value above: take it out"}
	}
	end := trimBlanks(src, at, l.end)
	mark := iniMark(src[at:end])
	if mark <= 0 || paddedBase64(src[at:end]) {
		return l, l.readWord(src, at, end, mark)
	}
	l.kind = iniKey
	l.keyEnd = trimBlanks(src, at, at+mark)
	l.key = string(src[at:l.keyEnd])
	l.value = Span{Start: skipBlanks(src, at+mark+1, l.end), Kind: Value, Path: l.path("str", l.key)}
	if err := l.readValue(src); err != nil {
		return l, err
	}
	// Readers that know only "=" see another key, in inventories of Ansible
	// more values follow: no rule can tell what is in it.
	rest := src[l.value.Start:l.value.End]
	l.value.Always = l.value.Always || (src[at+mark] == ':' || strings.ContainsAny(l.key, " \t")) && bytes.IndexByte(rest, '=') >= 0
	return l, nil
}

func (l *iniLine) path(kind, key string) []Step {
	return append(l.section[:len(l.section):len(l.section)], Step{Kind: kind, Key: key})
}

// otherSpace reports whether a line begins with what is white space for Python.
func otherSpace(line []byte) bool {
	r, size := utf8.DecodeRune(line)
	if r == utf8.RuneError && size == 1 { // in Latin-1
		r = rune(line[0])
	}
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

// iniMark is the offset of the "=" or ":" that ends the key of a line; -1 if
// there is none. A key that is an address (.npmrc) holds colons.
func iniMark(line []byte) int {
	if mark := bytes.IndexByte(line, '='); mark > 0 && bytes.HasPrefix(line, []byte("//")) && !bytes.ContainsAny(bytes.TrimRight(line[:mark], " \t"), " \t") {
		return mark
	}
	return bytes.IndexAny(line, "=:")
}

// paddedBase64 reports whether a line is the end of something in base64, which
// is no key in front of an empty value.
func paddedBase64(line []byte) bool { return len(line) >= 24 && base64End(line) }

func base64End(line []byte) bool {
	text := bytes.TrimRight(line, "=")
	if len(line)%4 != 0 || len(line) == len(text) || len(line) > len(text)+2 {
		return false
	}
	for _, c := range text {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}

// readWord takes a line without a key for a value: one word, such as
// skip-networking in my.cnf. It has no name that a rule could spare.
func (l *iniLine) readWord(src []byte, at, end, mark int) error {
	text := src[at:end]
	if mark < 0 && !bytes.HasPrefix(text, []byte("!include")) { // which my.cnf has
		word := false
		for _, c := range text {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c >= 0x80
			if word = word || letter; !letter && strings.IndexByte("_.+/-@%*~!?^", c) < 0 {
				word = false
				break
			}
		}
		if !word {
			return &Error{at, `not an INI file: this line is neither "key = value" nor [section]`,
				"--format names another format; --opaque encrypts any file as a whole"}
		}
	}
	l.kind = iniWord
	l.value = Span{Start: at, End: end, Kind: Value, Path: l.path("line", ""), Always: true}
	if mark >= 0 { // a key, for Python
		l.continuations(src)
	}
	return nil
}

// readSection reads [name], and [name "sub"] of git. The name ends at the
// first bracket that only a comment follows; for git and PHP a key may follow.
func (l *iniLine) readSection(src []byte, at int) error {
	l.kind = iniSection
	steps, from := gitSection(src[at:l.end])
	for i := at + max(from, 1); i < l.end; i++ {
		if src[i] != ']' {
			continue
		}
		rest := skipBlanks(src, i+1, l.end)
		if rest < l.end && src[rest] != ';' && src[rest] != '#' {
			if bytes.IndexByte(src[rest:l.end], '=') >= 0 {
				break
			}
			continue
		}
		if rest < l.end {
			l.comment = commentSpan(src, rest, l.end)
		}
		if l.section = steps; steps == nil {
			l.section = []Step{{Kind: "str", Key: string(bytes.Trim(src[at+1:i], " \t"))}}
		}
		return nil
	}
	return &Error{at, "a section whose name does not end with its line", "behind [name] only a comment may follow"}
}

// gitSection reads [name "sub"] and returns the offset of its last bracket;
// nil if line is none.
func gitSection(line []byte) (steps []Step, end int) {
	quote := bytes.IndexByte(line, '"')
	if quote < 0 {
		return nil, 0
	}
	name := bytes.TrimRight(line[1:quote], " \t")
	if len(name) == 0 || len(name) == quote-1 || bytes.ContainsAny(name, " \t]") {
		return nil, 0
	}
	var sub []byte
	for i := quote + 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			sub = append(sub, line[i])
		case c != '"':
			sub = append(sub, c)
		case i+1 < len(line) && line[i+1] == ']':
			return []Step{{Kind: "str", Key: string(name)}, {Kind: "sub", Key: string(sub)}}, i + 1
		default:
			return nil, 0
		}
	}
	return nil, 0
}

// readValue finds the end of the value that starts at l.value.Start: the end
// of its line, of the line where its quote closes, or of the last line that
// continues it.
func (l *iniLine) readValue(src []byte) error {
	v := &l.value
	v.End = trimBlanks(src, v.Start, l.end)
	if quote := openQuote(src[v.Start:v.End]); quote != "" {
		end := closingQuote(src, v.Start+len(quote), quote)
		if end < 0 {
			return &Error{v.Start, "a quote that is never closed", "programs differ on where such a value ends: close it, or put the value in other quotes"}
		}
		l.end = lineEnd(src, end)
		v.End = trimBlanks(src, end, l.end)
		v.Always = true
	}
	l.continuations(src)
	text := src[v.Start:v.End]
	v.Commented = commentedINI(text)
	if i := bytes.Index(text, []byte("-----BEGIN ")); i >= 0 && !bytes.Contains(text[i:], []byte("-----END")) {
		return &Error{v.Start, "a value of several lines that are not indented", "indent its other lines: they would be taken for keys"}
	}
	return nil
}

// commentedINI reports whether some program takes a part of a value for a
// comment: what follows ";" or "#" behind white space.
func commentedINI(text []byte) bool {
	for i := 1; i < len(text); i++ {
		if (text[i] == ';' || text[i] == '#') && strings.IndexByte(" \t\n", text[i-1]) >= 0 {
			return true
		}
	}
	return false
}

// continuations takes in the lines that belong to the value: those that are
// indented deeper than its key, as for Python, and those behind a backslash,
// as for git and systemd, unless they are plainly keys of their own, as behind
// C:\dir\. Comments and, where lines are indented, blank lines between them
// do not end it. Where a line that other programs took in begins further left,
// Python saw a key there.
func (l *iniLine) continuations(src []byte) {
	text := src[l.value.Start:l.value.End]
	more, indent := oddBackslash(text), l.indent
	for pos := l.start; pos < l.value.End; pos = nextLine(src, pos) {
		indent = min(indent, skipBlanks(src, pos, l.value.End)-pos)
	}
	for pos := nextLine(src, l.end); pos < len(src); pos = nextLine(src, pos) {
		end := lineEnd(src, pos)
		at := skipBlanks(src, pos, end)
		if at == end {
			more = false
			continue
		}
		if src[at] == ';' || src[at] == '#' {
			continue
		}
		text = src[at:trimBlanks(src, at, end)]
		if at-pos <= indent && (!more || text[0] == '[' || plainKey(text) && !base64End(text)) {
			return
		}
		l.value.Always = l.value.Always || text[0] == '[' || bytes.ContainsAny(text, "=:")
		l.end, l.value.End = end, at+len(text)
		more, indent = oddBackslash(text), min(indent, at-pos)
	}
}

func oddBackslash(text []byte) bool {
	return (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 1
}

// plainKey reports whether a line is "key =" with an identifier in front.
func plainKey(line []byte) bool {
	n := 0
	for n < len(line) && keyByte(line[n], n == 0) {
		n++
	}
	mark := skipBlanks(line, n, len(line))
	return n > 0 && mark < len(line) && line[mark] == '='
}

// openQuote is the quote that a value starts with and does not close on its
// line; "" if there is none.
func openQuote(text []byte) string {
	if len(text) == 0 || strings.IndexByte("\"'`", text[0]) < 0 {
		return ""
	}
	quote := string(text[:1])
	if bytes.HasPrefix(text, []byte(`"""`)) {
		quote = `"""`
	}
	// "C:\dir\" is closed, though its last quote has a backslash in front.
	if closingQuote(text, len(quote), quote) >= 0 || len(text) > 2*len(quote)-1 && bytes.HasSuffix(text, []byte(quote)) {
		return ""
	}
	return quote
}

// closingQuote is the offset behind the next quote from at, or -1.
func closingQuote(src []byte, at int, quote string) int {
	for ; at < len(src); at++ {
		if quote == `"` && src[at] == '\\' {
			at++
		} else if src[at] == quote[0] && bytes.HasPrefix(src[at:], []byte(quote)) {
			return at + len(quote)
		}
	}
	return -1
}
