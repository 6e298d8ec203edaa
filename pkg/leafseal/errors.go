package leafseal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/leafseal/leafseal/internal/span"
)

// The kinds of failure a caller may want to tell apart, with errors.Is.
var (
	ErrNotEncrypted = errors.New("not a leafseal file")               // no block and no token
	ErrEncrypted    = errors.New("already encrypted")                 // a block or tokens where plain text was expected
	ErrNoIdentity   = errors.New("no identity opens this file")       // none of the identities fits, or it is locked
	ErrTampered     = errors.New("tampered")                          // a token, the clear text, the block or the seal was changed
	ErrPolicy       = errors.New("the policy refuses")                // an invalid policy, or what it does not allow
	ErrNotFound     = errors.New("no such value")                     // a path that names nothing
	ErrUnsupported  = errors.New("this document cannot be encrypted") // not valid in its format, or not restorable
)

// Error is a failure with its place. Neither it nor what it wraps ever holds
// a byte of a value, or of a comment.
type Error struct {
	File   string // as the caller named it; may be empty
	Line   int    // from 1; 0 where the place is the file as a whole
	Column int    // in characters, from 1
	Key    string // the path of the value meant; may be empty
	Err    error  // the kind of failure: wraps one of the variables above
	Hint   string // how to mend it; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// place fills in line and column of an offset into src.
func (e *Error) place(src []byte, offset int) *Error {
	before := src[:min(max(offset, 0), len(src))]
	start := bytes.LastIndexByte(before, '\n') + 1
	e.Line = bytes.Count(before, []byte{'\n'}) + 1
	e.Column = utf8.RuneCount(before[start:]) + 1
	return e
}

// refuse turns a format's refusal of src into an Error of the given kind.
func refuse(file string, src []byte, kind, err error) error {
	e := &Error{File: file}
	var at *span.Error
	if !errors.As(err, &at) {
		e.Err = fmt.Errorf("%w: %w", kind, err)
		return e
	}
	e.Err = fmt.Errorf("%w: %s", kind, at.Msg)
	e.Hint = at.Hint
	return e.place(src, at.Offset)
}
