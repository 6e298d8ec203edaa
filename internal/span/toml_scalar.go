package span

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Strings, numbers, booleans, dates and times of TOML: where they end, what
// they say, and how they are written.

// stringTOML returns the end of the string at offset at.
func stringTOML(src []byte, at int) (int, error) {
	if q := src[at]; at+2 < len(src) && src[at+1] == q && src[at+2] == q {
		return blockStringTOML(src, at)
	}
	return lineStringTOML(src, at)
}

// lineStringTOML returns the end of a string that stands on one line.
func lineStringTOML(src []byte, at int) (int, error) {
	quote := src[at]
	for i := at + 1; i < len(src); i++ {
		switch c := src[i]; {
		case c == quote:
			return i + 1, nil
		case c == '\\' && quote == '"':
			n, err := escapeTOML(src, i)
			if err != nil {
				return 0, err
			}
			i += n - 1
		case c == '\n' || c == '\r' && i+1 < len(src) && src[i+1] == '\n':
			return 0, errorAt(at, "not valid TOML: the string has no end on its line")
		case control(c):
			return 0, errorAt(i, "not valid TOML: a control character in a string must be escaped")
		}
	}
	return 0, errorAt(at, "not valid TOML: the string has no end")
}

// blockStringTOML returns the end of a string in three quotes. Up to two
// quotes may stand in front of the closing ones.
func blockStringTOML(src []byte, at int) (int, error) {
	quote := src[at]
	for i := at + 3; i < len(src); i++ {
		switch c := src[i]; {
		case c == quote:
			n := 1
			for n < 5 && i+n < len(src) && src[i+n] == quote {
				n++
			}
			if n >= 3 {
				return i + n, nil
			}
			i += n - 1
		case c == '\\' && quote == '"':
			n := foldTOML(src[i:])
			if n == 0 {
				var err error
				if n, err = escapeTOML(src, i); err != nil {
					return 0, err
				}
			}
			i += n - 1
		case c == '\n' || c == '\r' && i+1 < len(src) && src[i+1] == '\n':
		case control(c):
			return 0, errorAt(i, "not valid TOML: a control character in a string must be escaped")
		}
	}
	return 0, errorAt(at, "not valid TOML: the string has no end")
}

// foldTOML returns the length of a line-ending backslash and all blanks and
// line breaks behind it; 0 if there is none.
func foldTOML(text []byte) int {
	folded, i := false, 1
	for ; i < len(text); i++ {
		switch {
		case text[i] == '\n':
			folded = true
		case text[i] == ' ' || text[i] == '\t' || text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
		default:
			if !folded {
				return 0
			}
			return i
		}
	}
	return 0 // the string has no end
}

// escapeTOML returns the length of the escape at offset at.
func escapeTOML(src []byte, at int) (int, error) {
	if at+1 == len(src) {
		return 0, errorAt(at, "not valid TOML: the string has no end")
	}
	switch c := src[at+1]; {
	case strings.IndexByte(`btnfr"\`, c) >= 0:
		return 2, nil
	case c == 'u' || c == 'U':
		n := 6
		if c == 'U' {
			n = 10
		}
		if _, ok := runeTOML(src[at:min(at+n, len(src))], n); !ok {
			return 0, errorAt(at, "not valid TOML: \\%c needs %d hexadecimal digits of a Unicode character", c, n-2)
		}
		return n, nil
	case c == 'e' || c == 'x':
		return 0, newerTOML(at, "there is no such escape")
	}
	return 0, errorAt(at, "not valid TOML: there is no such escape")
}

// runeTOML reads an escape of n bytes.
func runeTOML(escape []byte, n int) (rune, bool) {
	if len(escape) < n {
		return 0, false
	}
	r, err := strconv.ParseUint(string(escape[2:]), 16, 32)
	return rune(r), err == nil && r <= utf8.MaxRune && utf8.ValidRune(rune(r))
}

// unquoteTOML decodes a valid string, quotes included. Line breaks in it read
// as LF.
func unquoteTOML(q []byte) string {
	quote, width := q[0], 1
	if len(q) >= 6 && q[1] == quote && q[2] == quote {
		width = 3
	}
	q = q[width:]
	if width == 3 {
		q = bytes.TrimPrefix(bytes.TrimPrefix(q, []byte("\r")), []byte("\n"))
	}
	end := len(q) - width
	if bytes.IndexByte(q, '\r') < 0 && (quote == '\'' || bytes.IndexByte(q, '\\') < 0) {
		return string(q[:end])
	}
	return decodeTOML(q, end, quote)
}

// decodeTOML decodes the first end bytes of q, behind which quotes stand.
func decodeTOML(q []byte, end int, quote byte) string {
	out := make([]byte, 0, end)
	for i := 0; i < end; i++ {
		c := q[i]
		if c == '\r' { // only in front of a line feed
			continue
		}
		if c != '\\' || quote == '\'' {
			out = append(out, c)
			continue
		}
		if n := foldTOML(q[i:]); n > 0 {
			i += n - 1
			continue
		}
		switch c := q[i+1]; c {
		case 'u', 'U':
			n := 6
			if c == 'U' {
				n = 10
			}
			r, _ := runeTOML(q[i:i+n], n)
			out = utf8.AppendRune(out, r)
			i += n - 1
		default:
			out = append(out, "\b\t\n\f\r\"\\"[strings.IndexByte(`btnfr"\`, c)])
			i++
		}
	}
	return string(out)
}

// bareTOML returns the end of the number, boolean, date or time at offset at.
func bareTOML(src []byte, at int) (int, error) {
	end := bareEnd(src, at)
	if end-at == 10 && src[at+4] == '-' && src[at+7] == '-' && end+3 < len(src) && src[end] == ' ' && src[end+3] == ':' {
		end = bareEnd(src, end+1) // a blank between date and time
	}
	text := string(src[at:end])
	switch {
	case text == "":
		s := &tomlScan{src: src, pos: at}
		return 0, s.unexpected("expected a value")
	case text == "true" || text == "false" || numberTOML(text) && fitsTOML(text) || dateTOML(text):
		return end, nil
	case numberTOML(text):
		return 0, errorAt(at, "not valid TOML: a number beyond 64 bits")
	case shortTime().MatchString(text):
		return 0, newerTOML(at, "a time needs its seconds")
	case '0' <= text[0] && text[0] <= '9' || text[0] == '+' || text[0] == '-' || text[0] == '.':
		return 0, errorAt(at, "not valid TOML: a number, date or time is not written as TOML wants it")
	}
	return 0, &Error{at, "not valid TOML: expected a value", "text must stand in quotes"}
}

func bareEnd(src []byte, at int) int {
	for at < len(src) && (bareKeyByte(src[at]) || src[at] == '+' || src[at] == '.' || src[at] == ':') {
		at++
	}
	return at
}

// newerTOML refuses what came with TOML 1.1.
func newerTOML(at int, msg string) *Error {
	return &Error{at, "not valid TOML: " + msg, "leafseal reads TOML 1.0, which every program reads; this needs TOML 1.1"}
}

var (
	shortTime  = lazy(`^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ])?[0-9]{2}:[0-9]{2}([Zz]|[+-][0-9]{2}:[0-9]{2})?$`)
	numberForm = lazy(`^([+-]?(0|[1-9](_?[0-9])*)(\.[0-9](_?[0-9])*)?([eE][+-]?[0-9](_?[0-9])*)?|[+-]?(inf|nan)|0x[0-9A-Fa-f](_?[0-9A-Fa-f])*|0o[0-7](_?[0-7])*|0b[01](_?[01])*)$`)
	dateForm   = lazy(`^([0-9]{4})-([0-9]{2})-([0-9]{2})$`)
	timeForm   = lazy(`^([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-]([0-9]{2}):([0-9]{2}))?$`)
)

// numberTOML reports whether text is written as an integer or float.
func numberTOML(text string) bool {
	if len(text) < 19 && strings.Trim(text, "0123456789") == "" { // most are
		return text != "" && (text[0] != '0' || text == "0")
	}
	return numberForm().MatchString(text)
}

// fitsTOML reports whether every reader can hold a number: 64 bits are what
// TOML promises, and it wants an error beyond.
func fitsTOML(text string) bool {
	plain := strings.ReplaceAll(text, "_", "")
	switch {
	case strings.HasPrefix(plain, "0x") || !strings.ContainsAny(plain, ".eEn"):
		_, err := strconv.ParseInt(plain, 0, 64)
		return err == nil
	case strings.Contains(plain, "n"): // inf, nan
		return true
	}
	_, err := strconv.ParseFloat(plain, 64)
	return err == nil
}

// dateTOML reports whether text is a date, a time, or both.
func dateTOML(text string) bool {
	date, time := "", text
	if len(text) >= 10 && text[4] == '-' {
		date, time = text[:10], text[10:]
		d := dateForm().FindStringSubmatch(date)
		if d == nil || !dayTOML(two(d[1][:2])*100+two(d[1][2:]), two(d[2]), two(d[3])) {
			return false
		}
		if time == "" {
			return true
		}
		if time = time[1:]; strings.IndexByte("Tt ", text[10]) < 0 {
			return false
		}
	}
	t := timeForm().FindStringSubmatch(time)
	if t == nil || two(t[1]) > 23 || two(t[2]) > 59 || two(t[3]) > 59 {
		return false
	}
	if t[6] != "" && (two(t[6]) > 23 || two(t[7]) > 59) {
		return false
	}
	return t[5] == "" || date != ""
}

func two(digits string) int { return int(digits[0]-'0')*10 + int(digits[1]-'0') }

func dayTOML(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	days := []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		days = 29
	}
	return day <= days
}

func textTOML(src []byte, s Span) (string, error) {
	text := src[s.Start:s.End]
	switch text[0] {
	case '"', '\'':
		return unquoteTOML(text), nil
	case '[':
		return "[]", nil
	case '{':
		return "{}", nil
	}
	return string(text), nil
}

// quoteTOML writes a value in the style that stands there.
func quoteTOML(text string, src []byte, s Span) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, errorAt(s.Start, "the text is not valid UTF-8, which TOML cannot hold")
	}
	old, eol := src[s.Start:s.End], lineBreak(src)
	first := "" // the line break behind opening quotes
	if len(old) >= 6 && (old[3] == '\n' || old[3] == '\r') || strings.HasPrefix(text, "\n") {
		first = eol
	}
	switch quotes := string(old[:min(3, len(old))]); {
	case strings.IndexByte(`"'[{`, old[0]) < 0:
		if end, err := bareTOML([]byte(text), 0); err == nil && end == len(text) {
			return []byte(text), nil
		}
	case quotes == "'''" && !strings.Contains(text, "''") && !strings.HasSuffix(text, "'") && literalTOML(text, "\n"):
		return []byte(quotes + first + strings.ReplaceAll(text, "\n", eol) + quotes), nil
	case quotes == "'''" || quotes == `"""`:
		return append(append([]byte(`"""`+first), escapedTOML(text, eol)...), `"""`...), nil
	case old[0] == '\'' && !strings.Contains(text, "'") && literalTOML(text, ""):
		return []byte("'" + text + "'"), nil
	}
	return []byte(basicTOML(text)), nil
}

// literalTOML reports whether text can stand unescaped, but for the bytes in
// but.
func literalTOML(text, but string) bool {
	for i := range len(text) {
		if control(text[i]) && strings.IndexByte(but, text[i]) < 0 {
			return false
		}
	}
	return true
}

func basicTOML(text string) string { return `"` + string(escapedTOML(text, "")) + `"` }

// escapedTOML writes text as it stands in double quotes. Where eol is given,
// line feeds are written as this line break.
func escapedTOML(text, eol string) (b []byte) {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n' && eol != "":
			b = append(b, eol...)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case control(c) || c == '\t' && eol == "":
			if short := strings.IndexByte("\b\t\n\f\r", c); short >= 0 {
				b = append(b, '\\', "btnfr"[short])
			} else {
				b = fmt.Appendf(b, "\\u%04x", c)
			}
		default:
			b = append(b, c)
		}
	}
	return b
}
