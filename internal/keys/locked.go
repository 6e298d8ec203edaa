package keys

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
)

// Agent keeps unlocked identities from one run to the next. A locked identity
// file is known to it by the SHA-256 of its bytes.
type Agent interface {
	// Unwrap is age.Identity's with the identities of a file; held is false
	// if the agent does not have them.
	Unwrap(file [32]byte, stanzas []*age.Stanza) (key []byte, held bool, err error)
	// Hold gives it the unlocked text of a file, to be read by Unlocked. It
	// does nothing where no agent runs.
	Hold(file [32]byte, text []byte)
}

// Unlocked returns the identities of an identity file without a passphrase.
// None of them asks for anything.
func Unlocked(text []byte) ([]age.Identity, error) {
	r := &Ring{ui: &UI{}}
	if _, err := r.add("", text); err != nil {
		return nil, err
	}
	if len(r.asking) > 0 {
		return nil, errors.New("it asks for something")
	}
	return r.free, nil
}

// Unlock asks for the passphrases of all locked identities that the agent
// does not hold, and gives them to it. It returns how many there are.
func (r *Ring) Unlock() (int, error) {
	for _, l := range r.locked {
		if l.held() {
			continue
		}
		if err := l.unlock(); err != nil {
			return 0, err
		}
	}
	return len(r.locked), nil
}

// Locked returns the number of identities with a passphrase.
func (r *Ring) Locked() int { return len(r.locked) }

func (r *Ring) addLocked(l *locked, keys []string) {
	l.ring = r
	r.locked = append(r.locked, l)
	r.asking = append(r.asking, cached(l, keys, true))
}

// locked is an identity file with a passphrase: an age file, whose identities
// are not known before it is unlocked, or a private SSH key.
type locked struct {
	name string
	data []byte
	pub  ssh.PublicKey // of an SSH key
	open func(data, pass []byte) (text []byte, err error)
	ring *Ring
	ids  []age.Identity
	err  error
}

// errPassphrase is the error of open for another passphrase.
var errPassphrase = errors.New("wrong passphrase")

func (l *locked) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if l.pub != nil && !addressed(l.pub, stanzas) {
		return nil, age.ErrIncorrectIdentity // without asking for a passphrase
	}
	if l.ids == nil && l.err == nil && l.ring.agent != nil {
		if key, held, err := l.ring.agent.Unwrap(sha256.Sum256(l.data), stanzas); held {
			return key, err
		}
	}
	if l.ids == nil && l.err == nil {
		l.err = l.unlock()
	}
	if l.err != nil {
		return nil, l.err
	}
	return unwrap(l.ids, stanzas)
}

func unwrap(ids []age.Identity, stanzas []*age.Stanza) ([]byte, error) {
	for _, id := range ids {
		key, err := id.Unwrap(stanzas)
		if !errors.Is(err, age.ErrIncorrectIdentity) {
			return key, err
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// held reports whether the agent has the identities.
func (l *locked) held() bool {
	if l.ring.agent == nil {
		return false
	}
	_, held, _ := l.ring.agent.Unwrap(sha256.Sum256(l.data), nil)
	return held
}

func (l *locked) unlock() error {
	for range maxAttempts {
		pass, err := l.ring.passphrase(l.name)
		if err != nil {
			return err
		}
		text, err := l.open(l.data, pass)
		clear(pass)
		if errors.Is(err, errPassphrase) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %s is %w", ErrLocked, l.name, err)
		}
		if l.pub != nil {
			l.ids, err = Unlocked(text)
		} else {
			l.ids, err = l.ring.parse(text)
		}
		if err == nil && l.ring.agent != nil {
			l.ring.agent.Hold(sha256.Sum256(l.data), text)
		}
		clear(text)
		return err
	}
	return fmt.Errorf("%w: wrong passphrase for %s", ErrLocked, l.name)
}

var errDamaged = errors.New("damaged")

func openAge(data, pass []byte) ([]byte, error) {
	scrypt, err := age.NewScryptIdentity(string(pass))
	if err != nil {
		return nil, errPassphrase // an empty one
	}
	scrypt.SetMaxWorkFactor(maxWorkFactor)
	var src io.Reader = bytes.NewReader(data)
	if !bytes.HasPrefix(data, []byte("age-encryption.org/")) {
		src = armor.NewReader(bytes.NewReader(bytes.TrimSpace(data)))
	}
	plain, err := age.Decrypt(src, scrypt)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		if !slices.Contains(wrong.StanzaTypes, "scrypt") {
			return nil, errors.New("encrypted, but not with a passphrase")
		}
		return nil, errPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w, or it asks for more work than 2^%d scrypt", errDamaged, maxWorkFactor)
	}
	text, err := io.ReadAll(io.LimitReader(plain, maxIdentityFile))
	if err != nil {
		return nil, errDamaged
	}
	return text, nil
}

func openSSH(data, pass []byte) ([]byte, error) {
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(data, pass)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errPassphrase
	}
	if err != nil {
		return nil, errDamaged
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, errDamaged
	}
	return pem.EncodeToMemory(block), nil
}

// addressed reports whether some stanza is for an SSH key: their first
// argument is a part of its fingerprint (C2SP age, "ssh-rsa" and
// "ssh-ed25519" recipients).
func addressed(pub ssh.PublicKey, stanzas []*age.Stanza) bool {
	sum := sha256.Sum256(pub.Marshal())
	tag := base64.RawStdEncoding.EncodeToString(sum[:4])
	return slices.ContainsFunc(stanzas, func(s *age.Stanza) bool {
		return s.Type == pub.Type() && len(s.Args) > 0 && s.Args[0] == tag
	})
}
