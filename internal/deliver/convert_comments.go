package deliver

import (
	"bytes"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leafseal/leafseal/internal/span"
)

// comment is one line of a comment of the source.
type comment struct {
	line   int
	inline bool // behind a value
	text   string
}

func (d *decoder) comments(format string) (list []comment) {
	for _, s := range d.spans {
		texts := []string{string(d.src[s.Start:s.End])}
		if s.Kind == span.Value {
			texts = commentsIn(format, d.src, s)
		}
		for _, text := range texts {
			inline := s.Kind == span.Value && format == "dotenv" || d.isBehind(s.Start)
			for line := range strings.Lines(text) { // of /* */ there are several
				if line = strings.Trim(line, " \t\r\n"); line != "" {
					list = append(list, comment{d.lineAt(s.Start), inline, line})
					inline = false
				}
			}
		}
	}
	return list
}

// isBehind reports whether more than the mark of a comment stands in front of
// an offset on its line.
func (d *decoder) isBehind(offset int) bool {
	start := 0
	if line := d.lineAt(offset); line > 1 {
		start = d.breaks[line-2] + 1
	}
	return len(bytes.TrimLeft(d.src[start:offset], " \t#;/*\ufeff")) > 0
}

// commentsIn are the comments that a value's span holds: behind a dotenv
// value, in an empty collection, in the header of a block of YAML.
func commentsIn(format string, src []byte, s span.Span) (texts []string) {
	text := src[s.Start:s.End]
	empty := len(text) > 2 && (text[0] == '[' || text[0] == '{')
	switch {
	case format == "dotenv":
		return []string{dotenvTail(src, s)}
	case format == "jsonc" && empty:
		spans, _ := span.JSONC.Find(text) // it is a document, too
		for _, s := range spans {
			texts = append(texts, string(text[s.Start:s.End]))
		}
		return texts
	case format == "yaml" && len(text) > 0 && (text[0] == '|' || text[0] == '>'):
		text, _, _ = bytes.Cut(text, []byte("\n"))
	case (format != "yaml" && format != "toml") || !empty:
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if _, c, ok := strings.Cut(line, "#"); ok {
			texts = append(texts, c)
		}
	}
	return texts
}

// CommentsInValues reports whether values of a document hold comments. They are
// sealed with the value, and Convert writes them beside it.
func CommentsInValues(format string, plain []byte) bool {
	spans, err := span.ByName(format).Find(plain)
	return err != nil || slices.ContainsFunc(spans, func(s span.Span) bool {
		return s.Kind == span.Value && strings.TrimSpace(strings.Join(commentsIn(format, plain, s), "")) != ""
	})
}

// plain reports whether every format with comments can hold it.
func (c comment) plain() bool {
	return utf8.ValidString(c.text) && strings.IndexFunc(c.text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' || strings.ContainsRune("\u2028\u2029\ufeff\ufffe\uffff", r)
	}) < 0
}

func sameComments(a, b []comment) bool {
	texts := func(list []comment) (t []string) {
		for _, c := range list {
			t = append(t, c.text)
		}
		slices.Sort(t)
		return t
	}
	return slices.Equal(texts(a), texts(b))
}

// place gives comments to the values that they stand above or behind; the
// last ones to the root, as foot.
func (n *node) place(comments []comment) {
	var all []*node
	n.each(nil, func(n *node, _ []string) { all = append(all, n) })
	all = all[1:]
	slices.SortStableFunc(all, func(a, b *node) int { return a.line - b.line }) // the tables of TOML may be apart
	for _, c := range comments {
		next := sort.Search(len(all), func(i int) bool { return all[i].line > c.line || all[i].line == c.line && !c.inline })
		switch {
		case c.inline && next > 0 && all[next-1].line == c.line && all[next-1].behind == "":
			all[next-1].behind = c.text
		case next < len(all):
			all[next].above = append(all[next].above, c.text)
		default:
			n.above = append(n.above, c.text)
		}
	}
}

// comments writes them in lines of their own.
func (e *encoder) comments(indent string, texts []string) {
	for _, text := range texts {
		e.out.WriteString(indent + e.mark + " " + text + "\n")
	}
}

// behind is the comment behind a value, as it is written.
func (e *encoder) behind(n *node) string {
	if n.behind == "" {
		return ""
	}
	return " " + e.mark + " " + n.behind
}

// around are all comments of a node, for a line of which none can be behind.
func (n *node) around() []string {
	if n.behind == "" {
		return n.above
	}
	return append(n.above, n.behind)
}

// inside are the comments of all below a node.
func (n *node) inside() (texts []string) {
	n.each(nil, func(m *node, _ []string) {
		if m != n {
			texts = append(texts, m.around()...)
		}
	})
	return texts
}
