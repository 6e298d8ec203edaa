package migrate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"

	"github.com/leafseal/leafseal/internal/span"
)

const (
	gitCryptFile = "\x00GITCRYPT\x00" // in front of every encrypted file
	gitCryptKey  = "\x00GITCRYPTKEY"  // in front of a key file
	gitCryptNone = 12                 // bytes of the nonce behind it
	maxKeyField  = 1 << 20            // as git-crypt's key.cpp
)

// GitCryptKeys are the keys in a key file of git-crypt.
type GitCryptKeys struct {
	Name string // empty for the default key
	keys []gitCryptEntry
}

type gitCryptEntry struct{ aes, hmac []byte }

// ReadGitCryptKey reads a key file: what git-crypt export-key writes, and what
// stands in .git/git-crypt/keys (format 2 of git-crypt's key.cpp, and the old
// one without a header). The *Error it returns never holds a byte of it.
func ReadGitCryptKey(src []byte) (*GitCryptKeys, error) {
	k := &GitCryptKeys{}
	rest, ok := bytes.CutPrefix(src, []byte(gitCryptKey))
	if !ok {
		if len(src) == 96 { // before 0.4
			k.keys = []gitCryptEntry{{src[:32], src[32:]}}
			return k, nil
		}
		return nil, &Error{Err: fail(ErrForeign, "not a key file of git-crypt").Err, Hint: "git-crypt export-key FILE writes one"}
	}
	r := &fieldReader{rest: rest}
	if v := r.number(); v != 2 {
		return nil, fail(ErrUnsupported, "a key file of git-crypt in another format than 2")
	}
	for id, data := r.field(); id != 0; id, data = r.field() {
		if id != 1 {
			return nil, fail(ErrUnsupported, "a key file of git-crypt with an unknown field")
		}
		k.Name = string(data)
	}
	for len(r.rest) > 0 && !r.bad {
		var e gitCryptEntry
		for id, data := r.field(); id != 0; id, data = r.field() {
			switch id {
			case 1: // the entry's version: files do not say theirs
			case 3:
				e.aes = data
			case 5:
				e.hmac = data
			default:
				return nil, fail(ErrUnsupported, "a key file of git-crypt with an unknown field")
			}
		}
		if len(e.aes) != 32 || len(e.hmac) != 64 {
			r.bad = true
		}
		k.keys = append(k.keys, e)
	}
	if r.bad || len(k.keys) == 0 {
		return nil, fail(ErrTampered, "the key file of git-crypt is damaged")
	}
	return k, nil
}

// fieldReader reads numbers and fields; what does not fit sets bad, and gives
// an end.
type fieldReader struct {
	rest []byte
	bad  bool
}

func (r *fieldReader) number() uint32 {
	if len(r.rest) < 4 {
		r.bad, r.rest = true, nil
		return 0
	}
	n := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return n
}

func (r *fieldReader) field() (id uint32, data []byte) {
	if id = r.number(); id == 0 {
		return 0, nil
	}
	n := r.number()
	if n > maxKeyField || int(n) > len(r.rest) {
		r.bad, r.rest = true, nil
		return 0, nil
	}
	data, r.rest = r.rest[:n], r.rest[n:]
	return id, data
}

// GitCrypt reports whether src is a file that git-crypt encrypted.
func GitCrypt(src []byte) bool { return bytes.HasPrefix(src, []byte(gitCryptFile)) }

// OpenGitCrypt decrypts and verifies a file of git-crypt: AES-256 in counter
// mode, under a nonce that is the HMAC-SHA1 of the plaintext, cut to 12 bytes.
// All of it was secret. The *Error it returns wraps ErrForeign or ErrTampered.
func OpenGitCrypt(src []byte, format string, k *GitCryptKeys) (*Document, error) {
	if !GitCrypt(src) {
		return nil, fail(ErrForeign, "git-crypt did not encrypt it")
	}
	body := src[len(gitCryptFile):]
	if len(body) < gitCryptNone {
		return nil, fail(ErrTampered, "it ends in its header")
	}
	nonce, sealed := body[:gitCryptNone], body[gitCryptNone:]
	for _, key := range k.keys {
		block, err := aes.NewCipher(key.aes)
		if err != nil {
			return nil, err
		}
		plain := make([]byte, len(sealed))
		cipher.NewCTR(block, append(bytes.Clone(nonce), 0, 0, 0, 0)).XORKeyStream(plain, sealed)
		h := hmac.New(sha1.New, key.hmac)
		h.Write(plain)
		if subtle.ConstantTimeCompare(h.Sum(nil)[:gitCryptNone], nonce) == 1 {
			return wholeSecret(plain, format), nil
		}
	}
	return nil, fail(ErrTampered, "it does not verify: it was changed, or belongs to another key")
}

// wholeSecret is a document in which every value is secret.
func wholeSecret(plain []byte, format string) *Document {
	d := &Document{Format: format, Plain: plain, SecretComments: true}
	if f := span.ByName(format); f != nil {
		if spans, err := f.Find(plain); err == nil {
			for _, s := range spans {
				if s.Kind == span.Value {
					d.Secret = append(d.Secret, true)
				}
			}
			return d
		}
	}
	d.Format, d.Secret = "text", []bool{true}
	return d
}
