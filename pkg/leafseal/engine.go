package leafseal

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/leafseal/leafseal/internal/seal"
	"github.com/leafseal/leafseal/internal/span"
)

// This file is where formats and cryptography meet: it turns spans into
// places and tokens into texts. Both directions walk the spans in the same
// way; nothing else in leafseal seals or opens.

// body is a document taken apart.
type body struct {
	src    []byte
	spans  []span.Span
	paths  [][]byte // encoded, per span
	single []bool   // anchored, per span
	room   int      // how many bytes of places there may be yet
}

// find takes a document apart. kind is the failure if the format refuses it.
func find(f *span.Format, file string, src []byte, kind error) (*body, error) {
	spans, err := f.Find(src)
	if err != nil {
		return nil, refuse(file, src, kind, err)
	}
	b := &body{src: src, spans: spans, paths: make([][]byte, len(spans)), single: make([]bool, len(spans)), room: span.Room(len(src))}
	seen := make(map[string]int, len(spans))
	size := 0
	for i := range spans {
		for _, s := range spans[i].Path {
			size += len(s.Kind) + len(s.Key) + 15
		}
		size += 9
	}
	buf := make([]byte, 0, size) // one allocation for all paths
	for i := range spans {
		from := len(buf)
		buf = encodePath(buf, &spans[i])
		b.paths[i] = buf[from:len(buf):len(buf)]
	}
	for i := range spans {
		if s := &spans[i]; s.Kind == span.Value && !crossesList(s) {
			if first, again := seen[string(b.paths[i])]; again {
				b.single[i], b.single[first] = false, false
				continue
			}
			seen[string(b.paths[i])] = i
			b.single[i] = true
		}
	}
	return b, nil
}

func crossesList(s *span.Span) bool {
	for i := range s.Path {
		if s.Path[i].Kind == span.List {
			return true
		}
	}
	return false
}

// starts reports whether span i is the first of its element: of a list, or as
// one value of a repeated key.
func (b *body) starts(i int) bool {
	return b.spans[i].Starts || !b.single[i] && !crossesList(&b.spans[i])
}

func (b *body) skip(c *seal.Chain, i int) {
	c.Skip(b.paths[i], b.spans[i].Kind == span.Value && b.starts(i))
}

// place returns the place of span i. A place holds the path of the anchor: the
// places behind one long path could take any time.
func (b *body) place(c *seal.Chain, i int, between []byte) ([]byte, error) {
	place := c.Place(kindName(b.spans[i].Kind), b.paths[i], b.single[i], b.starts(i), between)
	if b.room -= len(place); b.room < 0 {
		return nil, errors.New("too many values behind keys that are too long or nested too deep")
	}
	return place, nil
}

// at names span i in an error.
func (b *body) at(file string, i int, err error) *Error {
	s := &b.spans[i]
	e := &Error{File: file, Err: err}
	if s.Kind == span.Value {
		e.Key = formatPath(s.Doc, s.Path)
	}
	return e.place(b.src, s.Start)
}

// ads are the associated data of a file's tokens.
type ads struct{ value, comment []byte }

func newADs(blk *seal.Block) ads { return ads{blk.AD(seal.Value), blk.AD(seal.Comment)} }

func (a ads) of(k span.Kind) []byte {
	if k == span.Comment {
		return a.comment
	}
	return a.value
}

func kindName(k span.Kind) string {
	if k == span.Comment {
		return seal.Comment
	}
	return seal.Value
}

// sealBody returns the whole file for the document b, with the spans that
// secret names sealed. It sets blk.NoNewline and blk.Seal, and proves the
// result: it opens it again and compares every byte and every path.
func sealBody(f *span.Format, file string, key *seal.Key, blk *seal.Block, b *body, secret func(i int) bool) ([]byte, error) {
	if f == &span.Opaque {
		return sealOpaque(file, key, blk, b)
	}
	ad := newADs(blk)
	var chain seal.Chain
	out := make([]byte, 0, len(b.src)+110*len(b.spans))
	last := 0 // end of the last sealed span
	for i, s := range b.spans {
		if s.Fixed || !secret(i) {
			b.skip(&chain, i)
			continue
		}
		between := b.src[last:s.Start]
		if err := noToken(b, file, last, between); err != nil {
			return nil, err
		}
		text := b.src[s.Start:s.End]
		if span.Token(trimAround(text, &s)) {
			return nil, handTyped(b.at(file, i, ErrEncrypted))
		}
		place, err := b.place(&chain, i, between)
		if err != nil {
			return nil, b.at(file, i, fmt.Errorf("%w: %w", ErrUnsupported, err))
		}
		out = append(out, between...)
		if len(text) == 0 {
			out = append(out, f.Empty...)
		}
		out = append(out, s.Open...)
		out = append(out, key.Seal(ad.of(s.Kind), place, text)...)
		out = append(out, s.Close...)
		chain.Took(text)
		last = s.End
	}
	if err := noToken(b, file, last, b.src[last:]); err != nil {
		return nil, err
	}
	out = append(out, b.src[last:]...)
	blk.NoNewline = f.NeedsGlue(out)
	blk.Seal = key.Sum(blk, chain.End(b.src[last:]), out)
	sealed, err := f.AttachBlock(out, blk.Lines())
	if err != nil {
		return nil, refuse(file, b.src, ErrUnsupported, err)
	}
	if err := prove(f, key, sealed, b); err != nil {
		return nil, &Error{File: file, Err: fmt.Errorf("%w: the result would not be restored exactly (%v)", ErrUnsupported, err),
			Hint: "nothing was written; please report this document's structure as a bug"}
	}
	return sealed, nil
}

// prove opens what is about to be written.
func prove(f *span.Format, key *seal.Key, sealed []byte, want *body) error {
	sb, blk, err := detach(f, "", sealed)
	if err != nil {
		return err
	}
	got, err := openBody(f, "", key, blk, sb)
	if err != nil {
		return err
	}
	if !bytes.Equal(got.plain, want.src) {
		return errors.New("the text differs")
	}
	if len(got.found.spans) != len(want.spans) {
		return errors.New("the structure differs")
	}
	for i := range want.spans {
		if want.spans[i].Kind != got.found.spans[i].Kind || !bytes.Equal(want.paths[i], got.found.paths[i]) {
			return errors.New("the structure differs")
		}
	}
	return nil
}

// noToken refuses clear text that holds something token-shaped.
func noToken(b *body, file string, offset int, clear []byte) error {
	if i := span.FindToken(clear); i >= 0 {
		e := &Error{File: file, Err: fmt.Errorf("%w: there is a token in the text", ErrEncrypted)}
		return handTyped(e.place(b.src, offset+i))
	}
	return nil
}

func handTyped(e *Error) *Error {
	e.Hint = "decrypt the file that the token comes from, or remove the token"
	return e
}

// trimAround returns the text of a span without what a token needs around it.
func trimAround(text []byte, s *span.Span) []byte {
	if len(text) >= len(s.Open)+len(s.Close) && bytes.HasPrefix(text, []byte(s.Open)) && bytes.HasSuffix(text, []byte(s.Close)) {
		return text[len(s.Open) : len(text)-len(s.Close)]
	}
	return nil
}

// detach splits a file into body and block, and checks that the block is
// written in its one encoding.
func detach(f *span.Format, file string, src []byte) ([]byte, *seal.Block, error) {
	body, lines, ok := f.DetachBlock(src)
	if !ok {
		if i := span.FindToken(src); i >= 0 {
			e := &Error{File: file, Err: fmt.Errorf("%w: there are tokens but no leafseal block", ErrTampered),
				Hint: "the file was cut, or only a part of it was copied"}
			return nil, nil, e.place(src, i)
		}
		return nil, nil, &Error{File: file, Err: ErrNotEncrypted, Hint: "leafseal encrypt makes it one"}
	}
	blk, err := seal.ParseBlock(lines)
	if err != nil {
		return nil, nil, &Error{File: file, Err: fmt.Errorf("%w: %w", ErrTampered, err)}
	}
	if span.ByName(blk.Format) == nil {
		return nil, nil, &Error{File: file, Err: fmt.Errorf("%w: the block says a format that this leafseal does not know", ErrTampered)}
	}
	if blk.Format != f.Name {
		return nil, nil, &Error{File: file, Err: fmt.Errorf("%w: the block says format %.20q, the file is %s", ErrTampered, blk.Format, f.Name)}
	}
	if blk.NoNewline {
		body = f.TrimGlue(body)
	}
	if again, err := f.AttachBlock(body, lines); err != nil || !bytes.Equal(again, src) {
		return nil, nil, &Error{File: file, Err: fmt.Errorf("%w: the block is damaged, or something follows it", ErrTampered)}
	}
	return body, blk, nil
}

// opened is a file with every token opened and every place proved.
type opened struct {
	plain  []byte
	found  *body  // of the sealed body
	sealed []bool // per span
}

// openBody opens every token of a sealed body, and proves every place and the
// seal, before it returns a byte.
func openBody(f *span.Format, file string, key *seal.Key, blk *seal.Block, src []byte) (*opened, error) {
	if f == &span.Opaque {
		return openOpaque(file, key, blk, src)
	}
	b, err := find(f, file, src, ErrTampered)
	if err != nil {
		return nil, err
	}
	ad := newADs(blk)
	var chain seal.Chain
	o := &opened{plain: make([]byte, 0, len(src)), found: b, sealed: make([]bool, len(b.spans))}
	last := 0
	for i := range b.spans {
		s := &b.spans[i]
		token := trimAround(src[s.Start:s.End], s)
		if !span.Token(token) {
			b.skip(&chain, i)
			continue
		}
		o.sealed[i] = true
		t, err := key.Open(ad.of(s.Kind), token)
		if err != nil {
			return nil, b.at(file, i, fmt.Errorf("%w: %w", ErrTampered, err))
		}
		start, ok := withGlue(f, src, last, s.Start, t.Text)
		if !ok {
			return nil, b.at(file, i, fmt.Errorf("%w: %w", ErrTampered, seal.ErrPlace))
		}
		place, err := b.place(&chain, i, src[last:start])
		if err == nil && !key.Check(ad.of(s.Kind), place, t) {
			err = seal.ErrPlace
		}
		if err != nil {
			return nil, b.at(file, i, fmt.Errorf("%w: %w", ErrTampered, err))
		}
		chain.Took(t.Text)
		o.plain = append(append(o.plain, src[last:start]...), t.Text...)
		last = s.End
	}
	sum := key.Sum(blk, chain.End(src[last:]), src)
	if subtle.ConstantTimeCompare(sum, blk.Seal) != 1 {
		return nil, &Error{File: file, Err: fmt.Errorf("%w: the seal does not fit: the end of the file or the leafseal block was changed", ErrTampered)}
	}
	o.plain = append(o.plain, src[last:]...)
	return o, nil
}

// withGlue returns where a sealed span starts, which is before the glue that
// was written in front of the token of an empty text.
func withGlue(f *span.Format, src []byte, last, start int, text []byte) (int, bool) {
	if len(text) > 0 {
		return start, true
	}
	return start - len(f.Empty), bytes.HasSuffix(src[last:start], []byte(f.Empty))
}
