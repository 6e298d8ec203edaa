package migrate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leafseal/leafseal/internal/span"
)

// INI for sops. It is written anew, as sops would: sops reads it through
// gopkg.in/ini.v1, which cuts values at ";" and "#", keeps one of two keys of
// the same name, and gives comments to the section or key that follows.

// iniWriter makes sops's tree of the lines of an INI file.
type iniWriter struct {
	*sopsWriter
	secret  map[*leaf]bool
	waiting []string // lines of comments in front of a section or key
	section *item    // the one that the last line stood in
	lost    int      // comments that sops has no place for
}

const iniTop = "DEFAULT" // the section of keys that stand in none

func (w *sopsWriter) ini() error {
	if !utf8.Valid(w.plain) {
		return fail(ErrUnsupported, "it is not valid UTF-8, which sops would change")
	}
	spans, err := span.INI.Find(w.plain)
	if err != nil {
		return spanError(w.plain, err)
	}
	b := &iniWriter{sopsWriter: w, secret: map[*leaf]bool{}}
	w.docs = []branch{{{key: iniTop, value: branch{}}}}
	b.section = &w.docs[0][0]
	if err := b.read(spans); err != nil {
		return err
	}
	if len(w.Secret) == 0 {
		return fail(ErrUnsupported, "an empty document: sops has nothing to encrypt in it")
	}
	if b.lost += len(b.waiting); b.lost > 0 {
		w.notes = append(w.notes, fmt.Sprintf("%d lines of comments in places where sops loses them are left out", b.lost))
	}
	w.choose(func(l *leaf) bool { return b.secret[l] })
	tokens := map[*leaf]string{}
	if err := w.encrypt(func(l *leaf, token string) error { tokens[l] = token; return nil }); err != nil {
		return err
	}
	return b.write(tokens)
}

// read takes the values one by one, and the sections and comments between
// them.
func (b *iniWriter) read(spans []span.Span) error {
	at, n := 0, 0
	var lines lineCounter
	for i := range spans {
		sp := &spans[i]
		if sp.Kind != span.Value {
			continue
		}
		line := lines.of(b.plain, sp.Start)
		start := bytes.LastIndexByte(b.plain[:sp.Start], '\n') + 1
		if err := b.between(at, start); err != nil {
			return err
		}
		if n == len(b.Secret) {
			return fail(ErrUnsupported, "its values could not be told apart")
		}
		l := &leaf{line: line}
		if err := b.value(l, sp); err != nil {
			return err
		}
		if b.secret[l] = b.Secret[n] || !clearINI(l.value.(string)); b.secret[l] && !b.Secret[n] {
			b.notes = append(b.notes, fmt.Sprintf("line %d: in clear here, but encrypted for sops, which would read it differently", line))
		}
		at, n = lineEnd(b.plain, sp.End)+1, n+1
	}
	if n != len(b.Secret) {
		return fail(ErrUnsupported, "its values could not be told apart")
	}
	return b.between(min(at, len(b.plain)), len(b.plain))
}

// between reads lines without values: sections, comments, blank lines.
func (b *iniWriter) between(at, end int) error {
	for at < end {
		stop := min(lineEnd(b.plain, at), end)
		text := strings.Trim(strings.TrimPrefix(string(b.plain[at:stop]), "\ufeff"), " \t\r")
		switch {
		case text == "":
		case text[0] == '[':
			closing := strings.LastIndexByte(text, ']')
			name := text[1:closing]
			refuse := func(why string) error {
				e := fail(ErrUnsupported, "%s", why)
				e.Line = lineOf(b.plain, at)
				return e
			}
			tree := &b.docs[0]
			switch {
			case strings.Trim(text[closing+1:], " \t") != "" || strings.Contains(name, "]"):
				return refuse("a section with more behind its name, which sops reads differently")
			case name == "" || name == iniTop || name == metaKey:
				return refuse(fmt.Sprintf("a section named %q, which sops takes for something else", name))
			case slices.ContainsFunc(*tree, func(it item) bool { return it.key == name }):
				return refuse("a section that stands there twice")
			}
			*tree = append(*tree, item{key: name, value: branch{}})
			b.section = &(*tree)[len(*tree)-1]
			b.settle()
		default:
			if strings.Trim(text, ";# \t") != "" {
				b.waiting = append(b.waiting, text)
			}
		}
		at = stop + 1
	}
	return nil
}

// settle gives the waiting comments to the section or key before it. sops has
// all of them as one text, with the marks of all lines but the first.
func (b *iniWriter) settle() {
	if len(b.waiting) == 0 {
		return
	}
	mark := b.waiting[0][:1]
	b.waiting[0] = strings.TrimLeft(b.waiting[0][1:], mark+" ")
	c := &leaf{isComment: true, text: strings.Join(b.waiting, "\n")}
	b.section.value = append(b.section.value.(branch), item{comment: c})
	b.waiting = nil
}

// value reads one value, and refuses what sops would not give back.
func (b *iniWriter) value(l *leaf, sp *span.Span) error {
	last := sp.Path[len(sp.Path)-1]
	path := []string{b.section.key, last.Key}
	text, err := span.INI.Text(b.plain, *sp)
	if err != nil {
		return spanError(b.plain, err)
	}
	l.value = text
	in := b.section.value.(branch)
	switch {
	case last.Kind == "line":
		return l.fail(path[:1], ErrUnsupported, "a line that is not \"key = value\", which sops does not take")
	case last.Key == "-" || strings.ContainsAny(last.Key, "\"`:\\") || last.Key != strings.TrimSpace(last.Key):
		return l.fail(path, ErrUnsupported, "a key that sops reads differently")
	case slices.ContainsFunc(in, func(it item) bool { return it.comment == nil && it.key == last.Key }):
		return l.fail(path, ErrUnsupported, "a key that stands there twice, of which sops keeps one")
	case strings.HasSuffix(text, `\`) || strings.TrimSpace(text) != strings.Trim(text, " \t\n") || !givenBack(iniText(l), text):
		return l.fail(path, ErrUnsupported, "a value that sops would write so that it is read differently: quotes or a backslash at its ends")
	}
	for line := range strings.SplitSeq(string(b.plain[sp.Start:sp.End]), "\n") {
		if line = strings.Trim(line, " \t\r"); strings.Contains(text, "\n") && line != "" && (line[0] == ';' || line[0] == '#') {
			b.lost++
		}
	}
	b.section.value = append(in, item{key: last.Key, value: l})
	b.settle()
	return nil
}

// clearINI reports whether sops reads a value in clear as it is meant.
func clearINI(text string) bool {
	raw := iniText(&leaf{value: text})
	got, ok := iniValue(raw)
	return ok && got == text && !strings.ContainsAny(raw, "\r\n")
}

// write writes the tree as sops does, and the metadata.
func (b *iniWriter) write(tokens map[*leaf]string) error {
	keys, fields, err := b.metadata()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for i, section := range b.docs[0] {
		var body []string
		for _, it := range section.value.(branch) {
			if it.comment == nil {
				l := it.value.(*leaf)
				text, encrypted := tokens[l]
				if !encrypted {
					text = iniText(l)
				}
				body = append(body, strings.TrimRight(it.key+" = "+text, " ")+"\n")
				continue
			}
			text, encrypted := tokens[it.comment]
			if !encrypted {
				text = it.comment.text
			}
			if text = "; " + text + "\n"; len(body) == 0 { // of the section
				out.WriteString(text)
			} else {
				body[len(body)-1] = text + body[len(body)-1]
			}
		}
		if i > 0 {
			fmt.Fprintf(&out, "[%s]\n", section.key)
		}
		if len(body) > 0 || i > 0 {
			out.WriteString(strings.Join(body, "") + "\n")
		}
	}
	fmt.Fprintf(&out, "[%s]\n", metaKey)
	for i, k := range keys {
		fmt.Fprintf(&out, "age__list_%d__map_enc = %s\nage__list_%d__map_recipient = %s\n", i, strings.ReplaceAll(k.enc, "\n", `\n`), i, k.recipient)
	}
	for _, f := range fields {
		fmt.Fprintf(&out, "%s = %s\n", f.name, iniText(&leaf{value: f.value}))
	}
	b.out = out.Bytes()
	return nil
}
