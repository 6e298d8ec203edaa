package leafseal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/seal"
	"github.com/leafseal/leafseal/internal/span"
)

// File is an opened file: its plaintext, its readers, and the data key that
// keeps unchanged values unchanged in the ciphertext. A File is not safe for
// concurrent use.
type File struct {
	name    string
	format  *span.Format
	block   seal.Block
	dataKey []byte
	key     *seal.Key
	plain   []byte
	bytes   []byte
	sealed  map[string]bool // paths that are sealed whatever the rule says
	count   int
}

// Plaintext returns the decrypted document. The caller must not change it.
func (f *File) Plaintext() []byte { return f.plain }

// Bytes returns the encrypted file. The caller must not change it.
func (f *File) Bytes() []byte { return f.bytes }

// SetName gives the file another name of the same format. Errors have it.
func (f *File) SetName(name string) { f.name = name }

// Format returns the name of the file's format.
func (f *File) Format() string { return f.format.Name }

// ID returns the file id, 32 hexadecimal digits that name the data key.
func (f *File) ID() string { return fmt.Sprintf("%x", f.block.ID) }

// Readers returns who can open the file.
func (f *File) Readers() []Reader { return readersOf(&f.block) }

// Rule returns the rule in force in the file.
func (f *File) Rule() Rule { return Rule(f.block.Rule) }

// Sealed returns how many values the last Edit sealed.
func (f *File) Sealed() int { return f.count }

// Edit replaces the plaintext. What is unchanged keeps its ciphertext, and a
// value that was sealed stays sealed. After an error the file is as it was.
func (f *File) Edit(plaintext []byte) error {
	if len(plaintext) == 0 {
		return f.err(ErrUnsupported, errors.New("an empty file holds nothing to encrypt"))
	}
	if f.bytes != nil && bytes.Equal(plaintext, f.plain) {
		return nil
	}
	return f.write(plaintext)
}

// As replaces the plaintext and the format it is in, under the same data key.
// "" is the format of the file's name; "text" seals the whole as one token: for what the file's own format cannot
// hold, such as a merge conflict. What comes back from text is sealed
// everywhere, whatever the rule says.
func (f *File) As(format string, plaintext []byte) error {
	to, err := formatFor(f.name, format)
	if err != nil {
		return err
	}
	if format == "" && to == &span.JSON && f.format == &span.JSONC { // somebody chose it
		to = f.format
	}
	if to == f.format {
		return f.Edit(plaintext)
	}
	b, err := find(to, f.name, plaintext, ErrUnsupported)
	if err != nil {
		return err
	}
	changed := *f
	changed.format, changed.bytes, changed.sealed = to, nil, make(map[string]bool)
	for i := range b.spans {
		changed.sealed[string(b.paths[i])] = true
	}
	if changed.key, err = seal.NewKey(f.dataKey, to.Name); err != nil {
		return err
	}
	changed.block.Format, changed.block.ID = to.Name, changed.key.ID()
	if err := changed.Edit(plaintext); err != nil {
		return err
	}
	*f = changed
	return nil
}

// KeepSealed makes sure that what is sealed in another version of the file
// stays so in this one, whatever its rule says.
func (f *File) KeepSealed(other *File) error {
	if other.format != f.format {
		return nil
	}
	b, err := find(other.format, other.name, other.plain, ErrUnsupported)
	if err != nil {
		return err
	}
	rule, err := Rule(other.block.Rule).compile()
	if err != nil {
		return err
	}
	if f.sealed = maps.Clone(f.sealed); f.sealed == nil {
		f.sealed = make(map[string]bool)
	}
	for i := range b.spans {
		if other.sealed[string(b.paths[i])] || rule.seals(&b.spans[i]) {
			f.sealed[string(b.paths[i])] = true
		}
	}
	return nil
}

// write seals plaintext under the block as it stands.
func (f *File) write(plaintext []byte) error {
	if before, lines, ok := f.format.DetachBlock(plaintext); ok {
		return f.hasBlock(plaintext, len(before), lines)
	}
	b, err := find(f.format, f.name, plaintext, ErrUnsupported)
	if err != nil {
		return err
	}
	rule, err := Rule(f.block.Rule).compile()
	if err != nil {
		return err
	}
	blk := f.block
	count := 0
	out, err := sealBody(f.format, f.name, f.key, &blk, b, func(i int) bool {
		secret := f.sealed[string(b.paths[i])] || rule.seals(&b.spans[i])
		if secret && b.spans[i].Kind == span.Value {
			count++
		}
		return secret
	})
	if err != nil {
		return err
	}
	f.block, f.plain, f.bytes, f.count = blk, plaintext, out, count
	return nil
}

// hasBlock refuses plaintext with the marks of a block at an offset, even in
// the middle of a value: whoever saw them there would take the plaintext for an
// encrypted file.
func (f *File) hasBlock(plaintext []byte, at int, lines []string) error {
	if _, err := seal.ParseBlock(lines); err == nil || f.format.Comment == "" {
		return &Error{File: f.name, Err: ErrEncrypted, Hint: "leafseal edit changes an encrypted file"}
	}
	e := &Error{File: f.name, Err: fmt.Errorf("%w, or so it looks: a line begins like one of leafseal's block", ErrEncrypted),
		Hint: fmt.Sprintf("in plain text, let no line begin with %q; if the file is encrypted, its block is damaged", f.format.Comment+" leafseal:")}
	return e.place(plaintext, at)
}

// keepSealed remembers the paths of what is sealed against the rule, so that
// no later write reveals it. All comments share the empty path.
func (f *File) keepSealed(o *opened) {
	rule, err := Rule(f.block.Rule).compile()
	for i := range o.found.spans {
		s := &o.found.spans[i]
		if o.sealed[i] && (err != nil || !rule.seals(s)) {
			if f.sealed == nil {
				f.sealed = make(map[string]bool)
			}
			f.sealed[string(o.found.paths[i])] = true
		}
	}
}

// Values lists the values of the document, in order. What has no text of its
// own, such as an alias of a map, has an empty one.
func (f *File) Values() ([]Value, error) {
	b, err := find(f.format, f.name, f.plain, ErrUnsupported)
	if err != nil {
		return nil, err
	}
	rule, err := Rule(f.block.Rule).compile()
	if err != nil {
		return nil, err
	}
	var values []Value
	for i := range b.spans {
		s := &b.spans[i]
		if s.Kind != span.Value {
			continue
		}
		text, err := f.format.Text(f.plain, *s)
		if err != nil {
			text = "" // an alias of a list or map, or what is not what its tag says
		}
		values = append(values, Value{
			Path:   formatPath(s.Doc, s.Path),
			Text:   text,
			Sealed: !s.Fixed && (f.sealed[string(b.paths[i])] || rule.seals(s)),
		})
	}
	return values, nil
}

// Get returns the value at path as a program would see it: unquoted and
// unescaped. A path is written like db.password, servers[0].host, "a.b".c, or
// @1.key for the second document of a stream.
func (f *File) Get(path string) (string, error) {
	a, s, err := f.lookup(path)
	if err != nil {
		return "", err
	}
	if s == nil {
		return "", f.notFound(a)
	}
	text, err := f.format.Text(f.plain, *s)
	if err != nil {
		return "", refuse(f.name, f.plain, ErrUnsupported, err)
	}
	return text, nil
}

// lookup finds the span that path names; nil if there is none.
func (f *File) lookup(path string) (address, *span.Span, error) {
	a, err := parsePath(path)
	if err != nil {
		return a, nil, err
	}
	spans, err := f.format.Find(f.plain)
	if err != nil {
		return a, nil, refuse(f.name, f.plain, ErrUnsupported, err)
	}
	var found *span.Span
	for i := range spans {
		if !a.names(&spans[i]) {
			continue
		}
		if found != nil {
			return a, nil, &Error{File: f.name, Key: path, Err: fmt.Errorf("%w: the path names more than one value", ErrNotFound)}
		}
		found = &spans[i]
	}
	return a, found, nil
}

// notFound says what stands at a or above it instead.
func (f *File) notFound(a address) error {
	e := &Error{File: f.name, Key: a.String(), Err: ErrNotFound}
	spans, err := f.format.Find(f.plain)
	if err != nil {
		return e
	}
	for up := a; ; up.steps = up.steps[:len(up.steps)-1] {
		if below := childrenOf(up, spans); len(below) > 0 {
			where := "the file"
			if len(up.steps) > 0 {
				where = up.String()
			}
			e.Hint = where + " has " + strings.Join(below, ", ")
			return e
		}
		if len(up.steps) == 0 {
			return e
		}
	}
}

// childrenOf names what stands directly below a.
func childrenOf(a address, spans []span.Span) []string {
	const most = 12
	var names []string
	for i := range spans {
		if s := &spans[i]; a.within(s) && len(s.Path) > len(a.steps) {
			name := formatPath(0, s.Path[len(a.steps):len(a.steps)+1])
			if len(names) == 0 || !slices.Contains(names, name) {
				names = append(names, name)
			}
			if len(names) > most {
				return append(names[:most], "…")
			}
		}
	}
	return names
}

// Set gives the value at path a new text, in the style that stands there, or
// adds it in the style of its neighbours.
func (f *File) Set(path, text string) error {
	a, s, err := f.lookup(path)
	if err != nil {
		return err
	}
	var plain []byte
	if s != nil {
		if s.Fixed {
			return &Error{File: f.name, Key: path, Err: fmt.Errorf("%w: a merge key is structure, not a value", ErrUnsupported), Hint: "leafseal edit can change it"}
		}
		quoted, err := f.format.Quote(text, f.plain, *s)
		if err != nil {
			return f.setError(path, err)
		}
		plain = span.Splice(f.plain, []span.Span{*s}, func(int) []byte { return quoted })
	} else if plain, err = f.format.Insert(f.plain, a.doc, a.steps, text); err != nil {
		return f.setError(path, err)
	}
	changed := *f
	if err := changed.Edit(plain); err != nil {
		return err
	}
	if got, err := changed.Get(path); err != nil || got != text || !sameBut(a, f, &changed, false) {
		return &Error{File: f.name, Key: path, Err: fmt.Errorf("%w: the value cannot be written in this place", ErrUnsupported), Hint: "leafseal edit can change it"}
	}
	*f = changed
	return nil
}

// sameBut reports whether two versions of a document have the same values,
// but for what stands at a or below it in the old one and, unless it was
// removed, in the new one. Comments may go with what is removed.
func sameBut(a address, old, new *File, removed bool) bool {
	others := func(f *File, but func(*span.Span) bool) []span.Span {
		spans, err := f.format.Find(f.plain)
		if err != nil {
			return nil
		}
		return slices.DeleteFunc(spans, func(s span.Span) bool { return but(&s) || a.above(&s) || removed && s.Kind == span.Comment })
	}
	was := others(old, a.within)
	is := others(new, func(s *span.Span) bool { return !removed && a.within(s) })
	return slices.EqualFunc(was, is, func(s, t span.Span) bool {
		return bytes.Equal(old.plain[s.Start:s.End], new.plain[t.Start:t.End]) && bytes.Equal(encodePath(nil, &s), encodePath(nil, &t))
	})
}

func (f *File) setError(path string, err error) error {
	e := refuse(f.name, f.plain, ErrUnsupported, err)
	var at *Error
	if errors.As(e, &at) {
		at.Key = path
	}
	return e
}

// Unset removes the value, map or list element at path, with its key and its
// line.
func (f *File) Unset(path string) error {
	a, err := parsePath(path)
	if err != nil {
		return err
	}
	spans, err := f.format.Find(f.plain)
	if err != nil {
		return refuse(f.name, f.plain, ErrUnsupported, err)
	}
	if !slices.ContainsFunc(spans, func(s span.Span) bool { return a.within(&s) }) {
		return f.notFound(a)
	}
	plain, err := f.format.Delete(f.plain, a.doc, a.steps)
	if err != nil {
		return f.setError(path, err)
	}
	changed := *f
	if err := changed.Edit(plain); err != nil {
		return err
	}
	if !sameBut(a, f, &changed, true) {
		return &Error{File: f.name, Key: path, Err: fmt.Errorf("%w: it cannot be taken out without changing others", ErrUnsupported), Hint: "leafseal edit can"}
	}
	*f = changed
	return nil
}

// Rotate gives the file a new data key, with the proof that it follows the
// old one. Everything is encrypted anew.
func (f *File) Rotate() error { return f.change(f.Readers(), true) }

// SetReaders changes who can open the file. Adding readers wraps the data key
// anew; removing one, or changing one's key, makes a new data key. Readers
// whose Recipient is nil must have keys that need no plugin.
func (f *File) SetReaders(readers []Reader) error {
	had := f.Readers()
	if slices.EqualFunc(had, readers, func(a, b Reader) bool { return a.Name == b.Name && a.Key == b.Key }) {
		return nil
	}
	removed := slices.ContainsFunc(had, func(old Reader) bool {
		return !slices.ContainsFunc(readers, func(r Reader) bool { return sameKey(r.Key, old.Key) })
	})
	return f.change(readers, removed)
}

func sameKey(a, b string) bool {
	ca, err1 := keys.Canonical(a)
	cb, err2 := keys.Canonical(b)
	return err1 == nil && err2 == nil && ca == cb
}

// AllComments stands for the comments of a file in SetRule's reveal.
const AllComments = "#"

// SetRule changes what is sealed. What was sealed stays sealed, whatever the
// rule says, but for the paths in reveal.
func (f *File) SetRule(rule Rule, reveal ...string) error {
	if _, err := rule.compile(); err != nil {
		return &Error{File: f.name, Err: err}
	}
	b, err := find(f.format, f.name, f.plain, ErrUnsupported)
	if err != nil {
		return err
	}
	was, err := Rule(f.block.Rule).compile()
	if err != nil {
		return err
	}
	changed := *f
	changed.block.Rule = seal.Rule(rule)
	changed.sealed = make(map[string]bool)
	for i := range b.spans {
		s := &b.spans[i]
		name := AllComments
		if s.Kind == span.Value {
			name = formatPath(s.Doc, s.Path)
		}
		if (f.sealed[string(b.paths[i])] || was.seals(s)) && !slices.Contains(reveal, name) {
			changed.sealed[string(b.paths[i])] = true
		}
	}
	if err := changed.write(f.plain); err != nil {
		return err
	}
	*f = changed
	return nil
}

func (f *File) change(readers []Reader, newKey bool) error {
	changed := *f
	var err error
	if newKey {
		err = changed.rekey(readers)
	} else {
		err = changed.wrap(readers)
	}
	if err == nil {
		err = changed.write(f.plain)
	}
	if err == nil {
		*f = changed
	}
	return err
}

// rekey makes a new data key for readers, and the proof of continuity if
// there was one before.
func (f *File) rekey(readers []Reader) error {
	dataKey := seal.NewDataKey()
	key, err := seal.NewKey(dataKey, f.format.Name)
	if err != nil {
		return err
	}
	if f.key != nil {
		f.block.PrevID, f.block.PrevProof = f.key.ID(), f.key.Follow(key.ID())
	}
	f.dataKey, f.key, f.block.ID = dataKey, key, key.ID()
	return f.wrap(readers)
}

// wrap encrypts the data key to readers.
func (f *File) wrap(readers []Reader) error {
	if len(readers) == 0 {
		return &Error{File: f.name, Err: errors.New("nobody could read the file: it needs at least one reader")}
	}
	var lines []seal.Reader
	var recipients []age.Recipient
	for _, r := range readers {
		name := r.Name
		if name == "" {
			name = "-"
		} else if !seal.ValidName(name) {
			return &Error{File: f.name, Err: fmt.Errorf("%.70q cannot be a reader's name", name), Hint: "letters, digits and ._@+- are allowed, up to 64"}
		}
		key, err := keys.Canonical(r.Key)
		if err != nil {
			return &Error{File: f.name, Err: fmt.Errorf("the key of reader %s: %w", name, err)}
		}
		if slices.ContainsFunc(lines, func(l seal.Reader) bool { return l.Key == key }) {
			return &Error{File: f.name, Err: fmt.Errorf("reader %s: the same key is named twice", name)}
		}
		to := r.Recipient
		if to == nil {
			if to, err = keys.ParseRecipient(key, nil); err != nil {
				return &Error{File: f.name, Err: fmt.Errorf("the key of reader %s: %w", name, err)}
			}
		}
		lines, recipients = append(lines, seal.Reader{Name: name, Key: key}), append(recipients, to)
	}
	if err := notMixed(lines); err != nil {
		return &Error{File: f.name, Err: err, Hint: "give every reader a post-quantum key (leafseal keygen --pq), or none"}
	}
	f.block.Readers = lines
	if err := f.block.Wrap(f.dataKey, recipients); err != nil {
		return &Error{File: f.name, Err: fmt.Errorf("wrapping the data key: %w", err)}
	}
	if err := f.checkStanzas(); err != nil { // a plugin that writes more than one
		return &Error{File: f.name, Err: errors.New("a plugin did not wrap the data key in one stanza per reader")}
	}
	return nil
}

// Reseal opens a file token by token, without regard to their places, and
// seals it anew as it stands: for a file that was changed from outside on
// purpose. It returns the paths of all values that it opened, for a person to
// look at; every one of them is sealed again, whatever the rule says. Nothing
// but a person's explicit command should call it.
func Reseal(src []byte, o Options, identities ...age.Identity) (*File, []string, error) {
	f, sealedBody, err := begin(src, o, identities)
	if err != nil {
		return nil, nil, err
	}
	if f.format == &span.Opaque {
		return nil, nil, f.err(ErrUnsupported, errors.New("an opaque file has no parts to accept one by one"))
	}
	b, err := find(f.format, f.name, sealedBody, ErrUnsupported)
	if err != nil {
		return nil, nil, err
	}
	ad := newADs(&f.block)
	o2 := &opened{found: b, sealed: make([]bool, len(b.spans))}
	var paths []string
	last := 0
	for i := range b.spans {
		s := &b.spans[i]
		token := trimAround(sealedBody[s.Start:s.End], s)
		if !span.Token(token) {
			continue
		}
		t, err := f.key.Open(ad.of(s.Kind), token)
		if err != nil {
			return nil, nil, b.at(f.name, i, fmt.Errorf("%w: %w", ErrTampered, err))
		}
		start, ok := withGlue(f.format, sealedBody, last, s.Start, t.Text)
		if !ok {
			return nil, nil, b.at(f.name, i, fmt.Errorf("%w: %w", ErrTampered, seal.ErrPlace))
		}
		o2.plain = append(append(o2.plain, sealedBody[last:start]...), t.Text...)
		o2.sealed[i], last = true, s.End
		if s.Kind == span.Value {
			paths = append(paths, formatPath(s.Doc, s.Path))
		}
	}
	f.keepSealed(o2)
	if err := f.write(append(o2.plain, sealedBody[last:]...)); err != nil {
		return nil, nil, err
	}
	return f, paths, nil
}

// notMixed names the readers whose keys would undo the others' protection
// against quantum computers; age refuses that too, without names.
func notMixed(readers []seal.Reader) error {
	var pq, classic []string
	for _, r := range readers {
		if strings.HasPrefix(r.Key, "age1pq1") || strings.HasPrefix(r.Key, "age1tagpq1") {
			pq = append(pq, r.Name)
		} else if typ, _, known := keys.StanzaTypes(r.Key); known && typ != "" {
			classic = append(classic, r.Name)
		}
	}
	if len(pq) == 0 || len(classic) == 0 {
		return nil
	}
	return fmt.Errorf("readers %s have post-quantum keys, but %s have not: whoever breaks one of those reads the file", strings.Join(pq, ", "), strings.Join(classic, ", "))
}
