package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

// Version is the version of the format that this package writes.
const Version = "v1"

// Rule is the selection rule in force in a file.
type Rule struct {
	Only, Except string // regular expressions on the dotted key path; empty: none
	KeepComments bool   // comments stay in clear
	Whole        bool   // the seal covers the whole body
}

// Reader is one line of those who can read a file.
type Reader struct {
	Name string // "-" for none
	Key  string // an age recipient or an SSH public key, in its one spelling
}

// Block is the metadata of a file. Its one encoding is Lines.
type Block struct {
	Format    string
	Rule      Rule
	NoNewline bool // the body has no final newline
	ID        []byte
	PrevID    []byte // id of the data key before this one; nil: none
	PrevProof []byte
	Readers   []Reader
	Header    []byte // the age file that holds the data key
	Seal      []byte
}

// Limits on what a block may hold, so that a hostile one costs little.
const (
	maxReaders = 1024
	maxLine    = 1 << 20
)

// ruleLines are the lines that every token is bound to: the begin line and
// the rule.
func (b *Block) ruleLines() []string {
	lines := []string{Version + " " + b.Format}
	if b.Rule.Only != "" {
		lines = append(lines, "only "+b.Rule.Only)
	}
	if b.Rule.Except != "" {
		lines = append(lines, "except "+b.Rule.Except)
	}
	if b.Rule.KeepComments {
		lines = append(lines, "comments keep")
	}
	if b.Rule.Whole {
		lines = append(lines, "whole")
	}
	return lines
}

// covered are the lines that the seal covers: all but itself.
func (b *Block) covered() []string {
	lines := b.ruleLines()
	if b.NoNewline {
		lines = append(lines, "no-newline")
	}
	lines = append(lines, "id "+hex.EncodeToString(b.ID))
	if b.PrevID != nil {
		lines = append(lines, "prev "+hex.EncodeToString(b.PrevID)+" "+strict64.EncodeToString(b.PrevProof))
	}
	for _, r := range b.Readers {
		lines = append(lines, "to "+r.Name+" "+r.Key)
	}
	return append(lines, "key "+base64.StdEncoding.EncodeToString(b.Header))
}

// Lines returns the block in its one encoding, without comment marks.
func (b *Block) Lines() []string {
	return append(b.covered(), "seal "+strict64.EncodeToString(b.Seal))
}

// ParseBlock is the reverse of Lines. Lines in any other encoding or order, of
// another version or of an unknown kind are refused.
func ParseBlock(lines []string) (*Block, error) {
	b := new(Block)
	if len(lines) == 0 {
		return nil, errors.New("the block is empty")
	}
	version, format, _ := strings.Cut(lines[0], " ")
	if n, ok := strings.CutPrefix(version, "v"); ok && version != Version && len(n) < 5 && strings.Trim(n, "0123456789") == "" {
		return nil, fmt.Errorf("the block has version %q, this leafseal knows %s", version, Version)
	}
	if version != Version || strings.Trim(format, "abcdefghijklmnopqrstuvwxyz") != "" {
		return nil, errors.New("the block's begin line is damaged")
	}
	b.Format = format
	for i, line := range lines[1:] {
		if len(line) > maxLine {
			return nil, errors.New("a line of the block is too long")
		}
		if err := b.parseLine(line); err != nil {
			return nil, fmt.Errorf("line %d of the block: %w", i+2, err)
		}
	}
	if len(b.Readers) == 0 || len(b.Header) == 0 || len(b.ID) != 16 || len(b.Seal) != 32 || b.PrevID != nil && len(b.PrevID) != 16 {
		return nil, errors.New("the block is incomplete")
	}
	if !slices.Equal(b.Lines(), lines) {
		return nil, errors.New("the block is not written as leafseal writes it")
	}
	return b, nil
}

func (b *Block) parseLine(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "only":
		b.Rule.Only = rest
	case "except":
		b.Rule.Except = rest
	case "comments":
		b.Rule.KeepComments = true
	case "whole":
		b.Rule.Whole = true
	case "no-newline":
		b.NoNewline = true
	case "id":
		b.ID, err = hex.DecodeString(rest)
	case "prev":
		id, proof, _ := strings.Cut(rest, " ")
		if b.PrevID, err = hex.DecodeString(id); err == nil {
			b.PrevProof, err = strict64.DecodeString(proof)
		}
	case "to":
		name, key, ok := strings.Cut(rest, " ")
		if !ok || !ValidName(name) && name != "-" || len(b.Readers) == maxReaders {
			return errors.New("it is not \"to NAME KEY\", or there are too many of them")
		}
		b.Readers = append(b.Readers, Reader{name, key})
	case "key":
		b.Header, err = base64.StdEncoding.Strict().DecodeString(rest)
	case "seal":
		b.Seal, err = strict64.DecodeString(rest)
	default:
		return errors.New("it is none that this leafseal knows") // unnamed: it may be the text of a value
	}
	if err != nil {
		return fmt.Errorf("the %s line is damaged", word)
	}
	return nil
}

// ValidName reports whether a user name can stand in a block: letters,
// digits, and "._@+-" but not first, up to 64.
func ValidName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._@+-", rune(c))) {
			return false
		}
	}
	return 0 < len(name) && len(name) <= 64
}

// AD returns the associated data of the file's tokens of one kind.
func (b *Block) AD(kind string) []byte {
	var lines []byte
	for _, l := range b.ruleLines() {
		lines = Bytes(lines, l)
	}
	return Bytes(Bytes(Bytes(nil, "leafseal/v1"), kind), digest(lines))
}

// Wrap makes b.Header: one age file (C2SP age) for all recipients, whose
// payload is the data key.
func (b *Block) Wrap(dataKey []byte, recipients []age.Recipient) error {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return err
	}
	if _, err := w.Write(dataKey); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	b.Header = out.Bytes()
	return nil
}

// Unwrap opens b.Header. An error that wraps *age.NoIdentityMatchError says
// that none of the identities fits; one that wraps ErrHeader that the header
// is damaged; others are the identities' own.
func (b *Block) Unwrap(identities []age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(b.Header), identities...)
	if err != nil {
		return nil, err
	}
	key, err := io.ReadAll(io.LimitReader(r, DataKeySize+1))
	if err != nil || len(key) != DataKeySize {
		return nil, ErrHeader
	}
	return key, nil
}

// ErrHeader is the error for a key line whose age file is damaged.
var ErrHeader = errors.New("the key line does not hold a data key")

// Stanza is the type of one recipient stanza of an age header, and its first
// argument.
type Stanza struct{ Type, Arg string }

// Stanzas lists the recipient stanzas of b.Header without opening it.
func (b *Block) Stanzas() ([]Stanza, error) {
	lister := new(stanzaLister)
	_, err := age.Decrypt(bytes.NewReader(b.Header), lister)
	var none *age.NoIdentityMatchError
	if !errors.As(err, &none) {
		return nil, ErrHeader
	}
	return lister.found, nil
}

// stanzaLister is an identity that opens nothing and notes what it sees.
type stanzaLister struct{ found []Stanza }

func (l *stanzaLister) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		st := Stanza{Type: s.Type}
		if len(s.Args) > 0 {
			st.Arg = s.Args[0]
		}
		l.found = append(l.found, st)
	}
	return nil, age.ErrIncorrectIdentity
}
