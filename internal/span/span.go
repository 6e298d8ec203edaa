// Package span finds the byte ranges of values and comments in a document and
// replaces them. It parses, it never re-emits: everything between two spans is
// copied as it stands. It knows no key; a token is any text that [Token]
// accepts.
package span

import (
	"bytes"
	"fmt"
	"path"
)

// MaxDepth is the deepest nesting of maps and lists that any format accepts.
const MaxDepth = 1000

// Room returns how many bytes leafseal spends on the paths of a document of
// size bytes. Each value has a path of its own, so that many values below a
// long path could take any memory and time. What people write takes a tenth.
func Room(size int) int { return 64<<20 + 128*size }

const stepSize = 40 // of a Step in memory, in bytes

// paths makes the paths of a document's values.
type paths struct{ room int }

// copy returns a copy of path; false if there is no more room.
func (p *paths) copy(path []Step) ([]Step, bool) {
	for i := range path {
		p.room -= len(path[i].Key)
	}
	if p.room -= len(path) * stepSize; p.room < 0 {
		return nil, false
	}
	return append(make([]Step, 0, len(path)), path...), true
}

// errRoom refuses a value for which there is no more room.
func errRoom(offset int) *Error {
	return &Error{offset, "too many values below keys that are too long or nested too deep", "a file for each part of it, or --format text, which encrypts it as a whole"}
}

// Kind says what a span holds.
type Kind byte

const (
	Value   Kind = 'v' // a scalar, an alias or an empty collection
	Comment Kind = 'c' // the text of one comment, without its mark
)

// Span is one value or comment of a document.
type Span struct {
	Start, End int    // src[Start:End] is the source text: quotes, escapes, indentation and all
	Kind       Kind   // Value or Comment
	Doc        int    // number of the document in its stream, from 0; always 0 outside YAML, and for comments
	Path       []Step // decoded keys and list steps from the root; nil for a comment
	Starts     bool   // the first value span of an element of an outermost list, or a comment
	Commented  bool   // a value whose source text has a comment in it
	Fixed      bool   // never sealed, it is structure: the alias of a YAML merge key
	Always     bool   // sealed whatever a rule says: readers differ on which keys it holds
	Open       string // what a token needs in front of it here; part of the span in a sealed document
	Close      string // what a token needs behind it here; likewise
	Decoded    string // the value a program sees, where the parser has it anyway; see Format.Text
}

// Step is one step of a path: a key of a map, or a position in a list.
type Step struct {
	Kind  string // "list" for a list step, else the scalar kind of the key: "str", "int", "null", …
	Key   string // the decoded key; empty for a list step
	Index int    // position in the list, from 0; not part of a value's identity
}

// List is the Kind of a list step.
const List = "list"

// Format is all that leafseal knows about one kind of document.
//
// Every function takes the body: the document without leafseal's block.
type Format struct {
	Name  string
	Match func(base string) bool // by the file's base name

	// Find returns the spans of src, sorted, disjoint and in bounds. It
	// returns an *Error where src is not a valid document of the format.
	Find func(src []byte) ([]Span, error)

	// Text returns the value a program would see for a span of src:
	// unquoted and unescaped.
	Text func(src []byte, s Span) (string, error)

	// Quote is the reverse: source text for a value that a program sees as
	// text, in the style that stands at s in src.
	Quote func(text string, src []byte, s Span) ([]byte, error)

	// Insert returns src with a new string value at path in document doc,
	// in the style of its neighbours, making the maps on the way. Of each
	// step only Key, or Kind List and Index, are looked at; a list step may
	// name an existing element or the position just behind the last.
	Insert func(src []byte, doc int, path []Step, text string) ([]byte, error)

	// Delete returns src without the value, map or list element at path:
	// its key and its line go too.
	Delete func(src []byte, doc int, path []Step) ([]byte, error)

	// Empty is what a token needs in front of it where the source text is
	// empty (the space after "key:" in YAML). It belongs to the span.
	Empty string

	// Comment is the mark that carries the block's lines as comments; in a
	// format without comments it is empty and Attach and Detach are set.
	Comment string

	// Attach returns body with the block's lines carried in it; Detach
	// finds the last block and returns body and lines. ok is false where
	// there is none. Attach is injective, and whatever Detach accepts need
	// not be what Attach writes: the caller compares.
	Attach func(body []byte, lines []string) ([]byte, error)
	Detach func(src []byte) (body []byte, lines []string, ok bool)
}

// Error says why a document was refused, and where.
type Error struct {
	Offset int    // byte offset into the source
	Msg    string // lower case, never a byte of a value
	Hint   string // how to mend it; may be empty
}

func (e *Error) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.Msg) }

func errorAt(offset int, format string, args ...any) *Error {
	return &Error{Offset: offset, Msg: fmt.Sprintf(format, args...)}
}

// Formats are the formats in the order in which their Match is asked.
var Formats = []*Format{&YAML, &JSONC, &JSON, &Dotenv, &TOML, &INI, &Text, &Opaque}

// ByName returns the format of that name, or nil.
func ByName(name string) *Format {
	for _, f := range Formats {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// ByFile returns the format for a file name, or nil.
func ByFile(name string) *Format {
	for _, f := range Formats {
		if f.Match(path.Base(name)) {
			return f
		}
	}
	return nil
}

// Splice returns src with the text of each span replaced by with(i).
func Splice(src []byte, spans []Span, with func(i int) []byte) []byte {
	out := make([]byte, 0, len(src)+len(src)/8)
	last := 0
	for i, s := range spans {
		out = append(out, src[last:s.Start]...)
		out = append(out, with(i)...)
		last = s.End
	}
	return append(out, src[last:]...)
}

// tokenMark starts every token; minToken is the shortest token's length: the
// mark, and base64url of a 24 byte nonce, 32 bytes of text and a 16 byte tag.
const (
	tokenMark = "leafseal."
	minToken  = len(tokenMark) + 96
)

// Token reports whether the whole of b has the shape of a token.
func Token(b []byte) bool {
	if len(b) < minToken || string(b[:len(tokenMark)]) != tokenMark {
		return false
	}
	for _, c := range b[len(tokenMark):] {
		if !tokenByte[c] {
			return false
		}
	}
	return true
}

// FindToken returns the offset of the first token-shaped text in b, or -1.
func FindToken(b []byte) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(tokenMark))
		if i < 0 {
			return -1
		}
		i += from
		n := len(tokenMark)
		for i+n < len(b) && n < minToken && tokenByte[b[i+n]] {
			n++
		}
		if n == minToken {
			return i
		}
		from = i + n
	}
}

var tokenByte = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		is[c] = true
	}
	return is
}()
