package keys

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// ErrLocked is the error for an identity that needs a passphrase while nobody
// can be asked, or that did not get the right one.
var ErrLocked = errors.New("the key is locked")

const (
	maxIdentityFile = 1 << 20
	maxWorkFactor   = 22 // scrypt: about ten seconds
	maxAttempts     = 3
)

// Sources are the places where identities may be, in the order of asking.
type Sources struct {
	Files   []string // named by the person: if there are any, nothing else counts; "-" is Stdin
	Key     string   // the key itself, from a variable
	KeyFile string   // a path, from a variable
	Config  string   // the usual place of leafseal's own identity file
	SSH     []string // the usual places of SSH keys
	Stdin   io.Reader
	Agent   Agent // asked before a passphrase is; may be nil
}

// Place is a place that was looked at, and what was found there.
type Place struct{ What, Path, Found string }

// Ring holds the identities that were found.
type Ring struct {
	Places   []Place
	Warnings []string

	free, asking []age.Identity // those that ask for something come last
	locked       []*locked      // among those
	ui           *UI
	agent        Agent
}

// Find looks for identities. A place that was named and holds none is an
// error; a usual place is only noted. Nothing is unlocked yet.
func Find(src Sources, ui *UI) (*Ring, error) {
	if ui == nil {
		ui = &UI{}
	}
	r := &Ring{ui: ui, agent: src.Agent}
	for _, path := range src.Files {
		if err := r.named("--identity", path, src.Stdin); err != nil {
			return nil, err
		}
	}
	if len(src.Files) > 0 {
		return r, nil
	}
	if src.Key == "" {
		r.note("$LEAFSEAL_IDENTITY", "", "not set")
	} else if found, err := r.add("$LEAFSEAL_IDENTITY", []byte(src.Key)); err != nil {
		return nil, fmt.Errorf("$LEAFSEAL_IDENTITY: %w", err)
	} else {
		r.note("$LEAFSEAL_IDENTITY", "", found)
	}
	if src.KeyFile == "" {
		r.note("$LEAFSEAL_IDENTITY_FILE", "", "not set")
	} else if err := r.named("$LEAFSEAL_IDENTITY_FILE", src.KeyFile, nil); err != nil {
		return nil, err
	}
	for i, path := range append([]string{src.Config}, src.SSH...) {
		what := "SSH key"
		if i == 0 {
			what = "identity file"
		}
		r.usual(what, path)
	}
	return r, nil
}

func (r *Ring) note(what, path, found string) {
	r.Places = append(r.Places, Place{what, path, found})
}

// named reads a place that must hold an identity.
func (r *Ring) named(what, path string, stdin io.Reader) error {
	var data []byte
	var err error
	if path == "-" && stdin != nil {
		data, err = io.ReadAll(io.LimitReader(stdin, maxIdentityFile+1))
	} else {
		data, err = r.readFile(path)
	}
	var found string
	if err == nil {
		found, err = r.add(path, data)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, path, plainError(err))
	}
	r.note(what, path, found)
	return nil
}

// usual reads a place that need not hold anything.
func (r *Ring) usual(what, path string) {
	data, err := r.readFile(path)
	var found string
	if err == nil {
		found, err = r.add(path, data)
	}
	if errors.Is(err, fs.ErrNotExist) {
		found = "no such file"
	} else if err != nil {
		found = plainError(err).Error()
	}
	r.note(what, path, found)
}

// plainError drops the path, which the caller names.
func plainError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (r *Ring) readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" && info.Mode().IsRegular() {
		r.Warnings = append(r.Warnings, fmt.Sprintf("others can read your key file %s (mode %04o): chmod 600 it", path, info.Mode().Perm()))
	}
	return io.ReadAll(io.LimitReader(f, maxIdentityFile+1))
}

// add takes in one identity file, whatever its kind, and says what it holds.
func (r *Ring) add(name string, data []byte) (found string, err error) {
	switch {
	case len(data) > maxIdentityFile:
		return "", errors.New("too large for an identity file")
	case bytes.HasPrefix(data, []byte("age-encryption.org/v1\n")), bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)):
		r.addLocked(&locked{name: name, data: data, open: openAge}, nil)
		return "age identities, passphrase-protected", nil
	case bytes.Contains(data, []byte("PRIVATE KEY-----")):
		return r.addSSH(name, data)
	}
	ids, err := r.parse(data)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		if _, ok := id.(*plugin.Identity); ok {
			r.asking = append(r.asking, cached(id, publicKeys(id), true))
		} else {
			r.free = append(r.free, cached(id, publicKeys(id), false))
		}
	}
	return fmt.Sprintf("%d age identities", len(ids)), nil
}

// parse reads the lines of an age identity file.
func (r *Ring) parse(data []byte) (ids []age.Identity, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxIdentityFile)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var id age.Identity
		switch {
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			id, err = plugin.NewIdentity(line, r.ui.client())
		case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
			id, err = age.ParseHybridIdentity(line)
		default:
			id, err = age.ParseX25519Identity(line)
		}
		if err != nil { // age's own error may hold a part of the key
			return nil, fmt.Errorf("line %d is not an age identity", n)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, errors.New("no identity in it")
	}
	return ids, lines.Err()
}

// addSSH takes in a private SSH key.
func (r *Ring) addSSH(name string, data []byte) (string, error) {
	id, err := agessh.ParseIdentity(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return r.addLockedSSH(name, data, locked.PublicKey)
	}
	if err != nil {
		return "", errors.New("an SSH key of a kind that age cannot use: ssh-ed25519 and ssh-rsa are")
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return "", errors.New("a damaged SSH key")
	}
	r.free = append(r.free, cached(id, []string{authorized(signer.PublicKey())}, false))
	r.Warnings = append(r.Warnings, fmt.Sprintf("the SSH key %s has no passphrase: ssh-keygen -p gives it one", name))
	return signer.PublicKey().Type() + ", without a passphrase", nil
}

func (r *Ring) addLockedSSH(name string, data []byte, pub ssh.PublicKey) (string, error) {
	if pub == nil { // PEM files of old do not tell
		text, err := os.ReadFile(name + ".pub")
		if err == nil {
			pub, _, _, _, err = ssh.ParseAuthorizedKey(text)
		}
		if err != nil {
			return "", fmt.Errorf("passphrase-protected in an old format, and its public key is not in %s.pub", name)
		}
	}
	if kind := pub.Type(); kind != ssh.KeyAlgoED25519 && kind != ssh.KeyAlgoRSA {
		return "", errors.New("an SSH key of a kind that age cannot use: ssh-ed25519 and ssh-rsa are")
	}
	r.addLocked(&locked{name: name, data: data, open: openSSH, pub: pub}, []string{authorized(pub)})
	return pub.Type() + ", passphrase-protected", nil
}

// passphrase asks for the passphrase of a key.
func (r *Ring) passphrase(name string) ([]byte, error) {
	if r.ui.Passphrase == nil {
		return nil, fmt.Errorf("%w: %s needs a passphrase, and there is no terminal to ask on", ErrLocked, name)
	}
	pass, err := r.ui.Passphrase(fmt.Sprintf("passphrase for %s:", name))
	if err != nil { // not given: nothing is wrong with a file that stays closed
		err = fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return pass, err
}

func authorized(pub ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
}

func publicKeys(id age.Identity) []string {
	switch id := id.(type) {
	case *age.X25519Identity:
		return []string{id.Recipient().String()}
	case *age.HybridIdentity:
		return []string{id.Recipient().String()}
	}
	return nil
}

// Identities returns what was found, those first that ask for nothing.
func (r *Ring) Identities() []age.Identity { return slices.Concat(r.free, r.asking) }

// LocalKey derives a secret from the first identity that asks for nothing, for
// a purpose on this machine that is none of age's. It is nil if there is none.
func (r *Ring) LocalKey(purpose string) ([]byte, error) {
	for _, id := range r.free {
		switch id := id.(*cache).id.(type) {
		case *age.X25519Identity, *age.HybridIdentity:
			return hkdf.Key(sha256.New, []byte(id.(fmt.Stringer).String()), nil, "leafseal local key: "+purpose, sha256.Size)
		}
	}
	return nil, nil
}

// PublicKeys returns the recipients of the identities, as far as they can be
// told without asking.
func (r *Ring) PublicKeys() []string {
	var all []string
	for _, id := range r.Identities() {
		all = append(all, id.(*cache).keys...)
	}
	return all
}
