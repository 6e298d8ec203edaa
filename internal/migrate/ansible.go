package migrate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leafseal/leafseal/internal/span"
)

// ansible-vault encrypts whole files, and single values of YAML files that are
// tagged !vault, in one envelope (ansible's "Ansible Vault" guide, format 1.1;
// 1.2 adds a vault id to the first line):
//
//	$ANSIBLE_VAULT;1.1;AES256
//	hex of: hex(salt) LF hex(HMAC) LF hex(ciphertext)
//
// Of PBKDF2-HMAC-SHA256(password, salt, 10000) the first 32 bytes are the key
// and the last 16 the counter of AES-256-CTR; the 32 between them key an
// HMAC-SHA256 of the ciphertext. The plaintext is padded as in PKCS #7.
const (
	ansibleMark       = "$ANSIBLE_VAULT;"
	ansibleIterations = 10_000
)

// AnsiblePassword reads a password file: all of it but white space around it,
// as ansible does.
func AnsiblePassword(src []byte) ([]byte, error) {
	password := bytes.Trim(src, " \t\n\r\v\f")
	switch {
	case len(password) == 0:
		return nil, fail(ErrForeign, "there is no password in it")
	case bytes.HasPrefix(password, []byte("#!")):
		return nil, &Error{Err: fail(ErrForeign, "it is a program that prints the password").Err, Hint: "leafseal runs no program to get one: send its output to --key -"}
	case bytes.HasPrefix(password, []byte(ansibleMark)):
		return nil, &Error{Err: fail(ErrForeign, "the password is itself in a vault").Err, Hint: "send what ansible-vault view prints to --key -"}
	}
	return password, nil
}

var ansibleInline = lazy(`!vault(?:-encrypted)?[ \t]+[|>"'][^\r\n]*\r?\n?[ \t]*\$ANSIBLE_VAULT;|!vault(?:-encrypted)?[ \t]+["']\$ANSIBLE_VAULT;`)

// Ansible reports whether src looks like a file that ansible-vault encrypted,
// or one that holds values that it did.
func Ansible(src []byte) bool {
	return bytes.HasPrefix(src, []byte(ansibleMark)) || ansibleInline().Match(src)
}

// OpenAnsible decrypts and verifies a file of ansible-vault, or the !vault
// values in a YAML file. Each of these stands in the plaintext as a string in
// quotes or as a block, the rest as it was. One password opens all, or the
// file is refused with the vault id of what does not open.
//
// The *Error it returns wraps ErrForeign, ErrTampered, ErrNoIdentity or
// ErrUnsupported.
func OpenAnsible(src []byte, format string, password []byte) (*Document, error) {
	if bytes.HasPrefix(src, []byte(ansibleMark)) {
		v, err := parseVault(string(src))
		if err != nil {
			return nil, err
		}
		plain, err := v.open(password)
		if err != nil {
			return nil, err
		}
		return wholeSecret(plain, format), nil
	}
	if format != "yaml" {
		return nil, fail(ErrForeign, "ansible-vault did not encrypt it, and it is no YAML file with values that it did")
	}
	return openVaults(src, password)
}

// vault is one envelope, parsed.
type vault struct {
	id                 string // "default" in format 1.1
	salt, sum, payload []byte
}

func parseVault(text string) (*vault, error) {
	head, body, _ := strings.Cut(text, "\n")
	fields := strings.Split(strings.TrimSpace(head), ";")
	v := &vault{id: "default"}
	switch {
	case len(fields) < 3:
		return nil, fail(ErrTampered, "the vault's first line is damaged")
	case fields[1] == "1.1" && len(fields) == 3:
	case fields[1] == "1.2" && len(fields) == 4:
		v.id = fields[3]
	default:
		return nil, fail(ErrUnsupported, "a vault of another format than 1.1 and 1.2")
	}
	if fields[2] != "AES256" {
		return nil, &Error{Err: fail(ErrUnsupported, "a vault of another cipher than AES256").Err, Hint: "ansible-vault rekey writes it anew"}
	}
	raw, err := hex.DecodeString(strings.Join(strings.Fields(body), ""))
	parts := bytes.Split(raw, []byte("\n"))
	if err != nil || len(parts) != 3 {
		return nil, fail(ErrTampered, "the vault is damaged")
	}
	for i, to := range []*[]byte{&v.salt, &v.sum, &v.payload} {
		if *to, err = hex.DecodeString(string(parts[i])); err != nil {
			return nil, fail(ErrTampered, "the vault is damaged")
		}
	}
	return v, nil
}

// open verifies the vault before it uses anything of it.
func (v *vault) open(password []byte) ([]byte, error) {
	keys, err := pbkdf2.Key(sha256.New, string(password), v.salt, ansibleIterations, 32+32+aes.BlockSize)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, keys[32:64])
	h.Write(v.payload)
	if subtle.ConstantTimeCompare(h.Sum(nil), v.sum) != 1 {
		return nil, fail(ErrNoIdentity, "the password does not open the vault of id %.64q, or it was changed", v.id)
	}
	block, err := aes.NewCipher(keys[:32])
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(v.payload))
	cipher.NewCTR(block, keys[64:]).XORKeyStream(plain, v.payload)
	n := len(plain)
	if n == 0 || n%aes.BlockSize != 0 || plain[n-1] == 0 || plain[n-1] > aes.BlockSize {
		return nil, fail(ErrTampered, "the vault's padding is damaged")
	}
	pad := int(plain[n-1])
	if bytes.Count(plain[n-pad:], plain[n-1:]) != pad {
		return nil, fail(ErrTampered, "the vault's padding is damaged")
	}
	return plain[:n-pad], nil
}

// vaultFile is a YAML file with values that are vaults.
type vaultFile struct {
	src   []byte
	spans []span.Span    // the values
	texts map[int]string // what was in the vaults, by value
}

func openVaults(src, password []byte) (*Document, error) {
	f := &vaultFile{src: src, texts: map[int]string{}}
	spans, err := span.YAML.Find(src)
	if err != nil {
		return nil, spanError(src, err)
	}
	f.spans = slices.DeleteFunc(spans, func(s span.Span) bool { return s.Kind != span.Value })
	var failed *vault // the first
	var at span.Span
	var why error
	opened := map[string]bool{} // by id
	for i, s := range f.spans {
		tag, _, tagged := f.tag(s)
		text, err := span.YAML.Text(src, s)
		if err != nil || !tagged && !strings.HasPrefix(text, ansibleMark) {
			continue
		}
		if !tagged || !strings.HasPrefix(text, ansibleMark) {
			return nil, f.fail(s, fail(ErrUnsupported, "a vault whose tag is not directly in front of it, or a tag %.20q without a vault", tag))
		}
		v, err := parseVault(text)
		if err != nil {
			return nil, f.fail(s, err)
		}
		plain, err := v.open(password)
		if err != nil && failed == nil {
			failed, at, why = v, s, err
		}
		if err == nil {
			f.texts[i], opened[v.id] = string(plain), true
		}
	}
	if failed != nil {
		if opened[failed.id] && errors.Is(why, ErrNoIdentity) {
			why = fail(ErrTampered, "the password opens others of vault id %.64q, but not this one: it was changed, or is under another password", failed.id)
		}
		return nil, f.fail(at, why)
	}
	if len(f.texts) == 0 {
		return nil, fail(ErrForeign, "no value in it is a vault")
	}
	for _, blocks := range []bool{true, false} {
		if plain, err := f.plain(blocks); err == nil && f.same(plain) {
			return f.document(plain)
		} else if err != nil && !blocks {
			return nil, err
		}
	}
	return nil, fail(ErrUnsupported, "its plain text would not be read with the same values")
}

// tag splits a value into an ansible tag and the rest.
func (f *vaultFile) tag(s span.Span) (tag, rest string, ok bool) {
	text := string(f.src[s.Start:s.End])
	for _, tag := range []string{"!vault", "!vault-encrypted"} {
		if rest, ok := strings.CutPrefix(text, tag); ok && rest != "" && strings.ContainsRune(" \t\r\n", rune(rest[0])) {
			return tag, strings.TrimLeft(rest, " \t\r\n"), true
		}
	}
	return "", text, false
}

// fail names a value.
func (f *vaultFile) fail(s span.Span, err error) error {
	at, ok := err.(*Error)
	if !ok {
		return err
	}
	at.Line, at.Key = lineOf(f.src, s.Start), pathName(stepNames(s.Path))
	return at
}

func stepNames(path []span.Step) (names []string) {
	for _, s := range path {
		if s.Kind != span.List {
			names = append(names, s.Key)
		}
	}
	return names
}

// plain puts the texts in the place of the vaults: several lines as a block
// where one stood, with its indentation, else in quotes.
func (f *vaultFile) plain(blocks bool) ([]byte, error) {
	var edits []edit
	for i, s := range f.spans {
		text, ok := f.texts[i]
		if !ok {
			continue
		}
		_, old, _ := f.tag(s)
		style := "'x'"
		if _, body, block := strings.Cut(old, "\n"); blocks && block && (old[0] == '|' || old[0] == '>') && strings.Contains(text, "\n") {
			style = "|" + eol(f.src) + body[:len(body)-len(strings.TrimLeft(body, " "))] + "x"
		}
		quoted, err := span.YAML.Quote(text, []byte(style), span.Span{End: len(style), Kind: span.Value})
		if err != nil {
			return nil, f.fail(s, fail(ErrUnsupported, "YAML cannot hold what is in the vault"))
		}
		edits = append(edits, edit{s.Start, s.End, string(quoted)})
	}
	return apply(f.src, edits), nil
}

// same reports whether a document has the values that it should: those of the
// vaults as strings, the others as they are written.
func (f *vaultFile) same(plain []byte) bool {
	spans, err := span.YAML.Find(plain)
	if err != nil {
		return false
	}
	spans = slices.DeleteFunc(spans, func(s span.Span) bool { return s.Kind != span.Value })
	if len(spans) != len(f.spans) {
		return false
	}
	for i, s := range spans {
		was := f.spans[i]
		if s.Doc != was.Doc || !slices.Equal(s.Path, was.Path) {
			return false
		}
		source := plain[s.Start:s.End]
		if text, ok := f.texts[i]; ok {
			got, err := span.YAML.Text(plain, s)
			if err != nil || got != text || !bytes.ContainsAny(source[:1], `'"|`) {
				return false
			}
		} else if !bytes.Equal(source, f.src[was.Start:was.End]) {
			return false
		}
	}
	return true
}

// document says what was secret; a rule names what was not.
func (f *vaultFile) document(plain []byte) (*Document, error) {
	d := &Document{Format: "yaml", Plain: plain}
	var all []placed
	for i, s := range f.spans {
		_, secret := f.texts[i]
		all, d.Secret = append(all, placed{dotted(s.Path), secret, true}), append(d.Secret, secret)
	}
	d.Rule, _ = nameClear(all)
	seals := d.Rule.seals()
	var more []string
	for _, p := range all {
		if !p.secret && seals(p.dotted) && !slices.Contains(more, p.dotted) {
			more = append(more, p.dotted)
		}
	}
	if len(more) > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("in clear for ansible, sealed from now on, as others in the same list are secret: %s", strings.Join(more, ", ")))
	}
	spans, err := span.YAML.Find(plain)
	if err != nil {
		return nil, spanError(plain, err)
	}
	d.Rule.KeepComments = slices.ContainsFunc(spans, func(s span.Span) bool { return s.Kind == span.Comment })
	return d, nil
}
