package deliver

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

// minMasked is the length in bytes from which on a value is hidden: shorter
// ones are in every text.
const minMasked = 4

// Masked is the text that stands for a value.
const Masked = "*****"

// A Mask hides values in what is written through it. What may be the
// beginning of a value is held back until more is known.
type Mask struct {
	out    io.Writer
	starts map[[minMasked]byte][]string // values by their first bytes, long ones first
	held   []byte
}

// NewMask hides values in what goes to out; of a value of several lines each
// line, too.
func NewMask(out io.Writer, values []string) *Mask {
	m := &Mask{out: out, starts: make(map[[minMasked]byte][]string)}
	add := func(v string) {
		if len(v) >= minMasked {
			start := [minMasked]byte([]byte(v))
			m.starts[start] = append(m.starts[start], v)
		}
	}
	for _, v := range values {
		if v = strings.TrimRight(v, "\r\n"); strings.Contains(v, "\n") {
			for line := range strings.Lines(v) {
				add(strings.TrimSpace(line))
			}
		}
		add(v)
		add(strings.TrimSpace(v)) // as it is after "read"
	}
	for start, list := range m.starts {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
		m.starts[start] = slices.Compact(list)
	}
	return m
}

// Write passes on what is certain.
func (m *Mask) Write(p []byte) (int, error) {
	m.held = append(m.held, p...)
	return len(p), m.pass(false)
}

// Close passes on the rest.
func (m *Mask) Close() error { return m.pass(true) }

func (m *Mask) pass(end bool) error {
	var out []byte
	rest := m.held
	for len(rest) > 0 {
		n, wait := m.match(rest, end)
		if wait {
			break
		}
		if n > 0 {
			out = append(out, Masked...)
		} else {
			out = append(out, rest[0])
			n = 1
		}
		rest = rest[n:]
	}
	m.held = append(m.held[:0], rest...)
	_, err := m.out.Write(out)
	return err
}

// match returns the length of the value at the beginning of text, or whether
// more text is needed to tell.
func (m *Mask) match(text []byte, end bool) (n int, wait bool) {
	if len(text) < minMasked {
		if end {
			return 0, false
		}
		for start := range m.starts { // only at the end of what there is
			if bytes.HasPrefix(start[:], text) {
				return 0, true
			}
		}
		return 0, false
	}
	for _, v := range m.starts[[minMasked]byte(text)] {
		if len(v) <= len(text) && string(text[:len(v)]) == v {
			return len(v), false
		}
		if !end && len(v) > len(text) && v[:len(text)] == string(text) {
			return 0, true
		}
	}
	return 0, false
}
