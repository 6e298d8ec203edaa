package seal

import (
	"crypto/hmac"
	"crypto/sha256"
)

// The kinds of sealed texts.
const (
	Value   = "value"
	Comment = "comment"
)

// Chain walks the spans of a file in order and computes the place of each
// sealed one. Paths are encoded parts (see Bytes, Number, List).
//
// For every span call Skip if it stays in clear, or Place and then Took if it
// is sealed; at the end call End.
type Chain struct {
	clear  []byte // encoded paths of the clear spans since the last sealed one
	starts bool   // a clear span started an element

	anchor []byte // path of the last anchored sealed value; empty: none
	run    []byte // digest of the unanchored sealed spans since
	elem   []byte // digest of the element so far
	before []byte // digest of the element before it in this run

	// Of the span between Place and Took.
	path, between []byte
	anchored      bool
}

// Skip notes a span that stays in clear.
func (c *Chain) Skip(path []byte, starts bool) {
	c.clear = List(c.clear, path)
	c.starts = c.starts || starts
}

// Place returns the place of a sealed span. anchored says that its path is
// unique among all values and crosses no list; starts that it is the first of
// its element; between are the bytes since the end of the last sealed span.
func (c *Chain) Place(kind string, path []byte, anchored, starts bool, between []byte) []byte {
	c.path = append(c.path[:0], path...)
	c.anchored = anchored
	c.between = c.takeClear(between)
	if starts || c.starts {
		c.before, c.elem = c.elem, nil
	}
	c.starts = false
	pred := c.predecessor()
	place := Bytes(make([]byte, 0, len(kind)+len(path)+len(c.between)+len(pred)+20), kind)
	place = List(place, path)
	place = List(place, c.between)
	return List(place, pred)
}

// predecessor encodes what came before the span at hand.
func (c *Chain) predecessor() []byte {
	switch {
	case c.anchored:
		return c.label("anchored", c.run)
	case c.elem == nil:
		return c.label("first", c.before)
	default:
		return c.label("next", c.elem)
	}
}

func (c *Chain) label(name string, digest []byte) []byte {
	p := make([]byte, 0, len(name)+len(c.anchor)+len(digest)+15)
	return Bytes(List(Bytes(p, name), c.anchor), digest)
}

// takeClear encodes the clear bytes and the paths of the clear spans in them.
func (c *Chain) takeClear(between []byte) []byte {
	e := Bytes(make([]byte, 0, len(between)+len(c.clear)+10), between)
	e = List(e, c.clear)
	c.clear = c.clear[:0]
	return e
}

// Took says what text stands at the place just given out.
func (c *Chain) Took(text []byte) {
	if c.anchored {
		c.anchor = append(c.anchor[:0], c.path...)
		c.run, c.elem, c.before = nil, nil, nil
		return
	}
	c.elem = digest(Bytes(List(Bytes(nil, c.elem), c.path), text))
	c.run = digest(Bytes(List(List(Bytes(nil, c.run), c.between), c.path), text))
}

// End returns the place of the end of the file: the bytes after the last
// sealed span, and what came before them.
func (c *Chain) End(between []byte) []byte {
	clear := c.takeClear(between)
	return List(List(nil, clear), c.label("anchored", c.run))
}

func digest(b []byte) []byte {
	d := sha256.Sum256(b)
	return d[:]
}

// Sum returns the seal: it covers the block's lines up to the seal, and the
// end of the file; and the whole body for a rule that asks for it.
func (k *Key) Sum(b *Block, end, body []byte) []byte {
	var lines []byte
	for _, l := range b.covered() {
		lines = Bytes(lines, l)
	}
	m := hmac.New(sha256.New, k.seal)
	m.Write(List(nil, lines))
	m.Write(end)
	if b.Rule.Whole {
		writePart(m, body)
	}
	return m.Sum(nil)
}
