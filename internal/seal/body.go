package seal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// An opaque body is an age file (C2SP age) with one stanza, of type
// bodyStanza: its argument is a random 24-byte nonce, in unpadded base64, its
// body age's file key under XChaCha20-Poly1305 with the subkey "body". The
// payload streams in chunks that age authenticates one by one; the seal covers
// the age header, and so, by its file key, the payload.
const bodyStanza = "leafseal"

// Body is the kind of opaque bodies in their associated data.
const Body = "body"

// ErrBody is the error for a body that was changed, cut, or that belongs to
// another file.
var ErrBody = errors.New("the body was changed or cut, or comes from another file")

// maxBodyHead bounds the age header of a body.
const maxBodyHead = 1024

// bodyWrap wraps age's file key: it is an age.Recipient and an age.Identity.
type bodyWrap struct {
	k  *Key
	ad []byte
}

func (b bodyWrap) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return []*age.Stanza{{Type: bodyStanza, Args: []string{base64.RawStdEncoding.EncodeToString(nonce)}, Body: b.k.body.Seal(nil, nonce, fileKey, b.ad)}}, nil
}

func (b bodyWrap) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != bodyStanza || len(stanzas[0].Args) != 1 {
		return nil, ErrBody
	}
	nonce, err := base64.RawStdEncoding.Strict().DecodeString(stanzas[0].Args[0])
	if err != nil || len(nonce) != chacha20poly1305.NonceSizeX {
		return nil, ErrBody
	}
	fileKey, err := b.k.body.Open(nil, nonce, stanzas[0].Body, b.ad)
	if err != nil {
		return nil, ErrBody
	}
	return fileKey, nil
}

// NewBody begins a body under the associated data ad. It returns the body's
// head, and a function that encrypts to the rest of it; the head itself is
// the caller's to write.
func (k *Key) NewBody(ad []byte) (head []byte, rest func(w io.Writer) io.WriteCloser, err error) {
	to := new(turnout)
	var first bytes.Buffer
	to.w = &first
	plain, err := age.Encrypt(to, bodyWrap{k, ad})
	if err != nil {
		return nil, nil, err
	}
	return first.Bytes(), func(w io.Writer) io.WriteCloser { to.w = w; return plain }, nil
}

// turnout is a writer that can be turned to another.
type turnout struct{ w io.Writer }

func (t *turnout) Write(p []byte) (int, error) { return t.w.Write(p) }

// OpenBody opens a body. It returns its head, for the seal, and the plaintext,
// of which every chunk is verified before it is read, and the end at the end.
// An error that is none of r's wraps ErrBody.
func (k *Key) OpenBody(ad []byte, r io.Reader) (head []byte, plain io.Reader, err error) {
	src := &source{r: r}
	in := bufio.NewReader(src) // small: age reads past it
	for last := false; !last; {
		line, err := in.ReadSlice('\n')
		if head = append(head, line...); err != nil || len(head) > maxBodyHead {
			return nil, nil, src.or(ErrBody)
		}
		last = bytes.HasPrefix(line, []byte("--- "))
	}
	nonce := make([]byte, 16) // of the payload
	if _, err := io.ReadFull(in, nonce); err != nil {
		return nil, nil, src.or(ErrBody)
	}
	head = append(head, nonce...)
	plain, err = age.Decrypt(io.MultiReader(bytes.NewReader(head), in), bodyWrap{k, ad})
	if err != nil {
		return nil, nil, src.or(ErrBody)
	}
	return head, &bodyReader{plain, src}, nil
}

// source notes the failure of a reader.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *source) or(err error) error {
	if s.err != nil {
		return s.err
	}
	return err
}

// bodyReader names age's failures in one way.
type bodyReader struct {
	plain io.Reader
	src   *source
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.plain.Read(p)
	if err != nil && err != io.EOF {
		err = b.src.or(ErrBody)
	}
	return n, err
}
