package leafseal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/seal"
	"github.com/leafseal/leafseal/internal/span"
)

// Reader is someone who can open a file.
type Reader struct {
	Name string // letters, digits and "._@+-"; may be empty
	Key  string // an age recipient, or an SSH public key as in authorized_keys

	// Recipient wraps the data key for Key. It may be nil for the keys that
	// need no plugin.
	Recipient age.Recipient
}

// ValidName reports whether a reader can have this name.
func ValidName(name string) bool { return seal.ValidName(name) }

// Rule selects what is sealed in a file. The zero value seals everything. A
// value with a comment in its source text is sealed where comments are.
type Rule struct {
	Only         string // seal only values whose dotted key path matches this regular expression (RE2)
	Except       string // but not those whose path matches this one
	KeepComments bool   // leave comments in clear
	Whole        bool   // let the seal cover the whole body: no mixing of versions, and no merging
}

// Options say how Encrypt makes a new file.
type Options struct {
	Name    string // the file's name: its ending chooses the format; named in errors
	Format  string // one of Formats; overrides Name
	Readers []Reader
	Rule    Rule
}

// Encrypt seals plaintext into a new file with a new data key, and returns
// the file's bytes. Empty plaintext stays empty.
//
// It returns an *Error that wraps ErrUnsupported for a document that is not
// valid or could not be restored exactly, and ErrEncrypted for one that
// already holds a block or a token.
func Encrypt(plaintext []byte, o Options) ([]byte, error) {
	f, err := New(o)
	if err != nil || len(plaintext) == 0 {
		return nil, err
	}
	if err := f.Edit(plaintext); err != nil {
		return nil, err
	}
	return f.Bytes(), nil
}

// New returns a file without content, with a new data key. Edit gives it its
// content.
func New(o Options) (*File, error) {
	format, err := formatFor(o.Name, o.Format)
	if err != nil {
		return nil, err
	}
	if _, err := o.Rule.compile(); err != nil {
		return nil, &Error{File: o.Name, Err: err}
	}
	f := &File{name: o.Name, format: format}
	f.block.Format = format.Name
	f.block.Rule = seal.Rule(o.Rule)
	if err := f.rekey(o.Readers); err != nil {
		return nil, err
	}
	return f, nil
}

// Decrypt verifies every byte of a file and returns its plaintext. name is
// the file's name, as in Options. Empty input is not a leafseal file.
func Decrypt(src []byte, name string, identities ...age.Identity) ([]byte, error) {
	f, err := Open(src, Options{Name: name}, identities...)
	if err != nil {
		return nil, err
	}
	return f.Plaintext(), nil
}

// Open verifies every byte of a file and opens it, to look at it or to change
// it. Of o only Name and Format are used.
//
// The *Error it returns wraps ErrNotEncrypted, ErrTampered or ErrNoIdentity.
// An identity may have a method PublicKeys() []string that names its
// recipients: then a file that names one of them, but does not open, is told
// apart from a file for other people.
func Open(src []byte, o Options, identities ...age.Identity) (*File, error) {
	f, body, err := begin(src, o, identities)
	if err != nil {
		return nil, err
	}
	opened, err := openBody(f.format, f.name, f.key, &f.block, body)
	if err != nil {
		return nil, explainBreaks(err, src, o, identities)
	}
	f.plain, f.bytes = opened.plain, src
	f.keepSealed(opened)
	return f, nil
}

// begin reads a file up to its data key.
func begin(src []byte, o Options, identities []age.Identity) (*File, []byte, error) {
	format, err := formatOf(src, o)
	if err != nil {
		return nil, nil, err
	}
	body, block, err := detach(format, o.Name, src)
	if err != nil {
		return nil, nil, err
	}
	f, err := beginBlock(o.Name, format, block, identities)
	return f, body, err
}

func beginBlock(name string, format *span.Format, block *seal.Block, identities []age.Identity) (*File, error) {
	f := &File{name: name, format: format, block: *block}
	if _, err := Rule(block.Rule).compile(); err != nil {
		return nil, f.err(ErrTampered, err)
	}
	if err := f.checkStanzas(); err != nil {
		return nil, err
	}
	var err error
	if f.dataKey, err = f.unwrap(identities); err != nil {
		return nil, err
	}
	if f.key, err = seal.NewKey(f.dataKey, format.Name); err != nil {
		return nil, err
	}
	if !bytes.Equal(f.key.ID(), block.ID) {
		return nil, f.err(ErrTampered, errors.New("the id line does not fit the data key"))
	}
	return f, nil
}

func (f *File) err(kind, why error) *Error {
	return &Error{File: f.name, Err: fmt.Errorf("%w: %w", kind, why)}
}

// checkStanzas holds the age header against the "to" lines, so that nobody
// hides a reader.
func (f *File) checkStanzas() error {
	stanzas, err := f.block.Stanzas()
	if err != nil {
		return f.err(ErrTampered, err)
	}
	if len(stanzas) != len(f.block.Readers) {
		return f.err(ErrTampered, fmt.Errorf("the key line has %d readers, the \"to\" lines name %d", len(stanzas), len(f.block.Readers)))
	}
	for i, r := range f.block.Readers {
		if key, err := keys.Canonical(r.Key); err != nil || key != r.Key {
			return f.err(ErrTampered, fmt.Errorf("the key of reader %s is not valid", r.Name))
		}
		typ, tag, known := keys.StanzaTypes(r.Key)
		if known && (stanzas[i].Type != typ || tag != "" && stanzas[i].Arg != tag) {
			return f.err(ErrTampered, fmt.Errorf("the key line is not for reader %s where the \"to\" lines name them", r.Name))
		}
	}
	return nil
}

// unwrap opens the data key, and tells "not for me" and "damaged" apart.
func (f *File) unwrap(identities []age.Identity) ([]byte, error) {
	var failed error // what an identity itself says
	watched := make([]age.Identity, len(identities))
	for i, id := range identities {
		watched[i] = watch{id, &failed}
	}
	if len(watched) == 0 {
		return nil, f.noIdentity(nil)
	}
	key, err := f.block.Unwrap(watched)
	switch none := new(age.NoIdentityMatchError); {
	case err == nil:
		return key, nil
	case errors.Is(failed, keys.ErrLocked):
		return nil, f.noIdentity(failed)
	case failed == nil && !errors.As(err, &none):
		return nil, f.err(ErrTampered, errors.New("the key line is damaged"))
	case f.named(identities):
		return nil, f.err(ErrTampered, errors.New("the file names your key as a reader, but the key line does not open with it"))
	default:
		return nil, f.noIdentity(failed)
	}
}

// watch notes the error of an identity that knows the stanza but fails on it.
type watch struct {
	age.Identity
	failed *error
}

func (w watch) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	key, err := w.Identity.Unwrap(stanzas)
	if err != nil && !errors.Is(err, age.ErrIncorrectIdentity) {
		*w.failed = err
	}
	return key, err
}

func (f *File) noIdentity(why error) *Error {
	var who []string
	for _, r := range f.block.Readers {
		if r.Name == "-" {
			who = append(who, shorten(r.Key))
		} else {
			who = append(who, r.Name)
		}
	}
	e := &Error{File: f.name, Err: ErrNoIdentity, Hint: "it can be opened by " + strings.Join(who, ", ")}
	if why != nil {
		e.Err = fmt.Errorf("%w: %w", ErrNoIdentity, why)
	}
	return e
}

// shorten keeps what a person needs to recognise a public key.
func shorten(key string) string {
	if len(key) <= 80 {
		return key
	}
	return key[:40] + "…" + key[len(key)-12:]
}

// named reports whether one of the identities is for a "to" line.
func (f *File) named(identities []age.Identity) bool {
	for _, id := range identities {
		for _, k := range publicKeys(id) {
			if slices.ContainsFunc(f.block.Readers, func(r seal.Reader) bool { return r.Key == k }) {
				return true
			}
		}
	}
	return false
}

func publicKeys(id age.Identity) []string {
	switch id := id.(type) {
	case *age.X25519Identity:
		return []string{id.Recipient().String()}
	case *age.HybridIdentity:
		return []string{id.Recipient().String()}
	case interface{ PublicKeys() []string }:
		return id.PublicKeys()
	}
	return nil
}

// explainBreaks names the one change that git and editors make by themselves.
func explainBreaks(err error, src []byte, o Options, identities []age.Identity) error {
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrTampered) {
		return err
	}
	other := bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	if len(other) == len(src) {
		other = bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n"))
	}
	f, body, err2 := begin(other, o, identities)
	if err2 != nil {
		return err
	}
	if _, err2 = openBody(f.format, f.name, f.key, &f.block, body); err2 != nil {
		return err
	}
	return &Error{File: o.Name, Err: fmt.Errorf("%w: only the line endings were converted (LF and CRLF)", ErrTampered),
		Hint: "convert them back, and mark the file -text in .gitattributes so that git leaves them alone"}
}

// Inspect reads what a file says of itself without a key. None of it is
// verified.
func Inspect(src []byte, o Options) (*Info, error) {
	format, err := formatOf(src, o)
	if err != nil {
		return nil, err
	}
	body, block, err := detach(format, o.Name, src)
	if err != nil {
		return nil, err
	}
	b, err := find(format, o.Name, body, ErrTampered)
	if err != nil {
		return nil, err
	}
	rule, err := Rule(block.Rule).compile()
	if err != nil {
		return nil, &Error{File: o.Name, Err: fmt.Errorf("%w: %w", ErrTampered, err)}
	}
	info := &Info{Format: format.Name, ID: fmt.Sprintf("%x", block.ID), Rule: Rule(block.Rule), Readers: readersOf(block)}
	if format == &span.Opaque {
		info.Values = []Value{{Sealed: true}}
		return info, nil
	}
	for i := range b.spans {
		s := &b.spans[i]
		sealed := span.Token(trimAround(body[s.Start:s.End], s))
		path := AllComments
		info.SealedComments = info.SealedComments || sealed && s.Kind == span.Comment
		if s.Kind == span.Value {
			path = formatPath(s.Doc, s.Path)
			info.Values = append(info.Values, Value{Path: path, Sealed: sealed})
		}
		if !sealed && !s.Fixed && rule.seals(s) {
			info.Exposed = append(info.Exposed, path)
		}
	}
	return info, nil
}

// Info is what a file says of itself in plain sight.
type Info struct {
	Format  string
	ID      string // 32 hexadecimal digits; changes with the data key
	Rule    Rule
	Readers []Reader
	Values  []Value // without their texts

	SealedComments bool // some comment is sealed

	// Exposed are the paths, or AllComments, of what stands in clear though
	// the file's rule seals it: an intact file has none.
	Exposed []string
}

// Value is one value of a document.
type Value struct {
	Path   string // as Get takes it
	Text   string // as a program would see it
	Sealed bool   // false for what a rule leaves in clear
}

func readersOf(b *seal.Block) []Reader {
	var readers []Reader
	for _, r := range b.Readers {
		readers = append(readers, Reader{Name: strings.TrimPrefix(r.Name, "-"), Key: r.Key})
	}
	return readers
}

// formatOf is the format of an encrypted file: a file of any name may be
// opaque, or sealed as a text, as a merge conflict is. Where the name tells
// none, or not whether JSON has comments, the block does; it is verified with
// the rest.
func formatOf(src []byte, o Options) (*span.Format, error) {
	if IsOpaque(src) {
		return &span.Opaque, nil
	}
	if o.Format == "" {
		if _, lines, ok := span.Text.DetachBlock(src); ok && len(lines) > 0 && lines[0] == seal.Version+" "+span.Text.Name {
			return &span.Text, nil
		}
	}
	f, err := formatFor(o.Name, o.Format)
	var others []*span.Format
	switch {
	case f == &span.Text, f == nil && o.Format == "":
		others = span.Formats
	case o.Format == "" && (f == &span.JSON || f == &span.JSONC):
		others = []*span.Format{&span.JSON, &span.JSONC}
	}
	for _, other := range others {
		if _, lines, ok := other.DetachBlock(src); ok && len(lines) > 0 && lines[0] == seal.Version+" "+other.Name {
			return other, nil
		}
	}
	return f, err
}

func formatFor(name, override string) (*span.Format, error) {
	if override != "" {
		if f := span.ByName(override); f != nil {
			return f, nil
		}
		return nil, &Error{File: name, Err: fmt.Errorf("%w: unknown format %.20q", ErrUnsupported, override), Hint: formatsHint()}
	}
	if f := span.ByFile(filepath.ToSlash(name)); f != nil {
		return f, nil
	}
	return nil, &Error{File: name, Err: fmt.Errorf("%w: the file name does not tell its format", ErrUnsupported), Hint: formatsHint()}
}

// Formats returns the names of all formats.
func Formats() []string {
	var names []string
	for _, f := range span.Formats {
		names = append(names, f.Name)
	}
	return names
}

// FormatOf returns the format that a file's name tells, or "".
func FormatOf(name string) string {
	if f := span.ByFile(filepath.ToSlash(name)); f != nil {
		return f.Name
	}
	return ""
}

func formatsHint() string {
	return "choose one with --format: " + strings.Join(Formats(), ", ") + "; --opaque takes any file as a whole"
}

// selector is a compiled rule.
type selector struct {
	only, except *regexp.Regexp
	keepComments bool
}

func (r Rule) compile() (selector, error) {
	s := selector{keepComments: r.KeepComments}
	for _, part := range []struct {
		word, text string
		to         **regexp.Regexp
	}{{"only", r.Only, &s.only}, {"except", r.Except, &s.except}} {
		if part.text == "" {
			continue
		}
		re, err := regexp.Compile(part.text)
		if err != nil || strings.ContainsAny(part.text, "\r\n") {
			return s, fmt.Errorf("%w: the rule's %q is not a regular expression on one line (RE2)", ErrPolicy, part.word)
		}
		*part.to = re
	}
	return s, nil
}

// seals reports whether the rule seals a span. A value that no key names, or
// that programs may take for several keys, is sealed whatever the rule: nobody
// can have meant to leave it in clear. So is one with a comment in it, such as
// an empty list, where comments are.
func (s selector) seals(sp *span.Span) bool {
	if sp.Kind == span.Comment || sp.Commented && !s.keepComments {
		return !s.keepComments
	}
	if s.only == nil && s.except == nil || sp.Always {
		return true
	}
	path := dotted(sp.Path)
	return path == "" || (s.only == nil || s.only.MatchString(path)) && (s.except == nil || !s.except.MatchString(path))
}
