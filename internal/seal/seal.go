// Package seal is leafseal's cryptography: a file's data key, the tokens that
// hold its values, the place that each token proves, and the block of lines
// that carries the readers and the seal. It knows no format: paths, texts and
// the bytes between them come in as bytes. The construction is specified in
// the documentation of package leafseal; the names here are the names there.
package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/bits"

	"golang.org/x/crypto/chacha20poly1305"
)

// DataKeySize is the size of a file's data key in bytes.
const DataKeySize = 32

// Mark starts every token.
const Mark = "leafseal."

// NewDataKey returns a random data key.
func NewDataKey() []byte {
	key := make([]byte, DataKeySize)
	rand.Read(key) // never returns an error, since Go 1.24
	return key
}

// The errors of Open. They tell the two ways a token can be wrong apart: a
// token that was changed or belongs to another file, and a token of this file
// that stands where it does not belong.
var (
	ErrToken = errors.New("the token was changed, or comes from another file or from before a rule changed")
	ErrPlace = errors.New("the token is out of place: it, its key or the clear text before it was changed, moved or removed")
)

// Key seals and opens the values of one file. It is not safe for concurrent
// use.
type Key struct {
	aead  cipher.AEAD
	nonce hash.Hash // HMAC-SHA256 with the nonce subkey
	seal  []byte
	next  []byte
	id    []byte
	body  cipher.AEAD
	buf   []byte
}

// NewKey derives the subkeys of dataKey for a format (HKDF-SHA256, RFC 5869).
func NewKey(dataKey []byte, format string) (*Key, error) {
	if len(dataKey) != DataKeySize {
		return nil, fmt.Errorf("a data key has %d bytes, this one has %d", DataKeySize, len(dataKey))
	}
	sub := func(purpose string, size int) []byte {
		k, err := hkdf.Key(sha256.New, dataKey, nil, "leafseal/v1 "+purpose+" "+format, size)
		if err != nil {
			panic(err) // the sizes are constants, far below HKDF's limit
		}
		return k
	}
	aead, err := chacha20poly1305.NewX(sub("value", chacha20poly1305.KeySize))
	if err != nil {
		return nil, err
	}
	body, err := chacha20poly1305.NewX(sub("body", chacha20poly1305.KeySize))
	if err != nil {
		return nil, err
	}
	return &Key{
		body:  body,
		aead:  aead,
		nonce: hmac.New(sha256.New, sub("nonce", 32)),
		seal:  sub("seal", 32),
		next:  sub("next", 32),
		id:    sub("id", 16),
	}, nil
}

// ID returns the file id: 16 bytes that name the data key without telling it.
func (k *Key) ID() []byte { return k.id }

// Follow returns the proof that the file id next was made by someone who
// could open this key.
func (k *Key) Follow(next []byte) []byte {
	m := hmac.New(sha256.New, k.next)
	m.Write(next)
	return m.Sum(nil)
}

// Seal returns the token for text at a place, under the associated data ad.
// The same arguments give the same token.
func (k *Key) Seal(ad, place, text []byte) []byte {
	padded := pad(k.buf[:0], text)
	k.buf = padded
	nonce := k.nonceFor(ad, place, padded)
	raw := make([]byte, len(nonce), len(nonce)+len(padded)+k.aead.Overhead())
	copy(raw, nonce)
	raw = k.aead.Seal(raw, nonce, padded, ad)
	token := make([]byte, len(Mark), len(Mark)+base64.RawURLEncoding.EncodedLen(len(raw)))
	copy(token, Mark)
	return base64.RawURLEncoding.AppendEncode(token, raw)
}

// Opened is a token whose text was decrypted, but whose place is not proved
// yet.
type Opened struct {
	nonce, padded []byte
	Text          []byte
}

// Open decrypts a token under ad. It proves that someone with the data key
// made the token; it does not prove that the token belongs here: Check does.
func (k *Key) Open(ad, token []byte) (Opened, error) {
	body, ok := bytes.CutPrefix(token, []byte(Mark))
	if !ok || bytes.ContainsAny(body, "\r\n") { // which Go's decoder skips
		return Opened{}, ErrToken
	}
	raw, err := strict64.AppendDecode(nil, body)
	if err != nil || len(raw) < chacha20poly1305.NonceSizeX+k.aead.Overhead() {
		return Opened{}, ErrToken
	}
	nonce, sealed := raw[:chacha20poly1305.NonceSizeX], raw[chacha20poly1305.NonceSizeX:]
	padded, err := k.aead.Open(sealed[:0], nonce, sealed, ad)
	if err != nil {
		return Opened{}, ErrToken
	}
	text, ok := unpad(padded)
	if !ok {
		return Opened{}, ErrToken
	}
	return Opened{nonce, padded, text}, nil
}

// Check reports whether an opened token was sealed for this place: it
// recomputes the nonce and compares in constant time. That also commits the
// token to its key and associated data.
func (k *Key) Check(ad, place []byte, o Opened) bool {
	return subtle.ConstantTimeCompare(o.nonce, k.nonceFor(ad, place, o.padded)) == 1
}

func (k *Key) nonceFor(ad, place, padded []byte) []byte {
	k.nonce.Reset()
	writePart(k.nonce, ad)
	writePart(k.nonce, place)
	writePart(k.nonce, padded)
	return k.nonce.Sum(nil)[:chacha20poly1305.NonceSizeX]
}

// strict64 is base64url without padding with exactly one encoding of each
// text: trailing bits must be zero.
var strict64 = base64.RawURLEncoding.Strict()

// bucket returns the padded size for n bytes (text and mark): multiples of 32
// up to 512, above that Padmé (PURBs, Nikitin et al. 2019, section 4).
func bucket(n int) int {
	if n <= 512 {
		return (n + 31) &^ 31
	}
	e := bits.Len(uint(n)) - 1
	mask := 1<<(e-bits.Len(uint(e))) - 1
	return (n + mask) &^ mask
}

func pad(dst, text []byte) []byte {
	n := bucket(len(text) + 1)
	dst = append(append(dst, text...), 0x80)
	return append(dst, make([]byte, n-len(dst))...)
}

func unpad(padded []byte) ([]byte, bool) {
	i := len(padded) - 1
	for i >= 0 && padded[i] == 0 {
		i--
	}
	if i < 0 || padded[i] != 0x80 || bucket(i+1) != len(padded) {
		return nil, false
	}
	return padded[:i], true
}

// The one encoding: each part is a type byte, the length of its content as 32
// bits, big endian, and the content. 'b' is a byte string, 'i' a number (32
// bits, big endian), 'l' a list of parts.

// Bytes appends a byte string to parts.
func Bytes[T string | []byte](parts []byte, b T) []byte {
	return append(binary.BigEndian.AppendUint32(append(parts, 'b'), uint32(len(b))), b...)
}

// Number appends a number to parts.
func Number(parts []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(append(parts, 'i'), 4), uint32(n))
}

// List appends a list, given its encoded parts, to parts.
func List(parts, list []byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(parts, 'l'), uint32(len(list))), list...)
}

// writePart is Bytes straight into a hash.
func writePart(h hash.Hash, b []byte) {
	var head [5]byte
	head[0] = 'b'
	binary.BigEndian.PutUint32(head[1:], uint32(len(b)))
	h.Write(head[:])
	h.Write(b)
}
