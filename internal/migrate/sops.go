// Package migrate reads and writes the files of other tools: foreign bytes in,
// plaintext and which of its values were secret out, and back. Nothing is
// released before all of it is verified as its own tool would.
package migrate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/leafseal/leafseal/internal/span"
)

// The kinds of failure, for errors.Is.
var (
	ErrForeign     = errors.New("not such a file")             // the other tool's metadata is not there
	ErrTampered    = errors.New("tampered")                    // a value or the MAC does not verify
	ErrNoIdentity  = errors.New("no identity opens this file") // none of the age keys fits
	ErrUnsupported = errors.New("this cannot be carried over") // said by name
)

// Error is a failure with its place. It never holds a byte of a value.
type Error struct {
	Line int    // from 1; 0 where the place is the file as a whole
	Key  string // the key path meant; may be empty
	Err  error  // wraps one of the variables above
	Hint string // how to mend it; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

func fail(kind error, format string, args ...any) *Error {
	return &Error{Err: fmt.Errorf("%w: "+format, append([]any{kind}, args...)...)}
}

// Document is what came out of a foreign file.
type Document struct {
	Format string // as in internal/span: "yaml", "json", "dotenv", "ini"; "text" for a binary file
	Plain  []byte
	Secret []bool // for each value of Plain, in the order of the format's spans: was it encrypted?
	Rule   Rule   // which values the other tool would encrypt, as nearly as leafseal can say it
	Notes  []string

	// SecretComments says that some comment was encrypted.
	SecretComments bool

	// Recipients are the age keys that could open the file.
	Recipients []string
}

// Sops reports whether src looks like a file that sops wrote. It is quick, and
// may say yes to what Open then refuses.
func Sops(src []byte) bool {
	return bytes.Contains(src, []byte("sops")) && sopsMac().Match(src)
}

// OpenSops verifies and decrypts a file of sops 3 (getsops.io), of the format
// "yaml", "json", "dotenv", "ini" or "binary", whose data key is encrypted to
// at least one age key. Layout and clear text stay as they are; the metadata
// is taken out.
//
// The *Error it returns wraps ErrForeign, ErrTampered, ErrNoIdentity or
// ErrUnsupported.
func OpenSops(src []byte, format string, identities ...age.Identity) (*Document, error) {
	s, err := loadSops(src, format)
	if err != nil {
		return nil, err
	}
	if err := s.unwrap(identities); err != nil {
		return nil, err
	}
	return s.open()
}

// sopsFile is a file of sops, parsed.
type sopsFile struct {
	format string
	src    []byte
	docs   []branch
	meta   metadata
	rules  *rules
	key    []byte // 32 bytes

	secretComments bool
	lost           bool // a comment that does not open was left as it is

	// plain writes the plaintext once all leaves are opened.
	plain  func() ([]byte, error)
	asText bool // the plaintext is not one that leafseal reads as sops does
	// flat says for lines, once there is plaintext, what was encrypted.
	flat func(span.Span) (secret, known bool)
}

func loadSops(src []byte, format string) (*sopsFile, error) {
	s := &sopsFile{format: format, src: src}
	var meta map[string]any
	var err error
	switch format {
	case "yaml":
		if first := bytes.TrimLeft(src, " \t\r\n\ufeff"); len(first) > 0 && first[0] == '{' {
			s.format = "json" // which is YAML too; layout is easier to keep so
			meta, err = s.loadJSON()
		} else {
			meta, err = s.loadYAML()
		}
	case "json", "binary":
		meta, err = s.loadJSON()
	case "dotenv":
		meta, err = s.loadDotenv()
	case "ini":
		meta, err = s.loadINI()
	default:
		err = fail(ErrUnsupported, "sops has no format %.20q", format)
	}
	if err != nil {
		return nil, err
	}
	if s.meta, err = readMetadata(meta); err != nil {
		return nil, err
	}
	s.rules, err = newRules(&s.meta)
	return s, err
}

// metadata is what sops keeps beside the values.
type metadata struct {
	age                      []ageEntry
	others                   []string // "2 kms keys": what leafseal cannot use
	groups, threshold        int
	lastModified             time.Time
	mac                      string
	suffix, unSuffix         string
	regex, unRegex           string
	commentRegex, unComments string
	macOnlyEncrypted         bool
}

type ageEntry struct{ recipient, enc string }

// readMetadata reads the fields of sops's stores/stores.go.
func readMetadata(m map[string]any) (metadata, error) {
	var md metadata
	if m == nil {
		return md, fail(ErrForeign, "there is no metadata of sops in it")
	}
	lists := m
	groups, _ := m["key_groups"].([]any)
	if top := keysIn(m); top == 0 && len(groups) > 0 { // sops ignores the groups if there are keys beside them
		md.groups = len(groups)
		lists, _ = groups[0].(map[string]any)
	}
	md.threshold, _ = strconv.Atoi(text(m["shamir_threshold"]))
	for _, kind := range keyKinds {
		list, _ := lists[kind].([]any)
		for _, k := range list {
			entry, _ := k.(map[string]any)
			if kind == "age" {
				md.age = append(md.age, ageEntry{text(entry["recipient"]), text(entry["enc"])})
			}
		}
		if kind != "age" && len(list) > 0 {
			md.others = append(md.others, fmt.Sprintf("%s (%d)", kind, len(list)))
		}
	}
	md.mac = text(m["mac"])
	md.suffix, md.unSuffix = text(m["encrypted_suffix"]), text(m["unencrypted_suffix"])
	md.regex, md.unRegex = text(m["encrypted_regex"]), text(m["unencrypted_regex"])
	md.commentRegex, md.unComments = text(m["encrypted_comment_regex"]), text(m["unencrypted_comment_regex"])
	md.macOnlyEncrypted, _ = strconv.ParseBool(text(m["mac_only_encrypted"]))
	var err error
	if md.lastModified, err = time.Parse(time.RFC3339, text(m["lastmodified"])); err != nil {
		return md, fail(ErrTampered, "the metadata's lastmodified is no time")
	}
	switch {
	case md.groups > 1:
		return md, &Error{Err: fmt.Errorf("%w: its data key is split over %d key groups (Shamir's secret sharing, threshold %d), which leafseal does not join", ErrUnsupported, md.groups, md.threshold),
			Hint: "first write it with one group of keys: sops --shamir-secret-sharing-threshold 0, or take key_groups out of .sops.yaml and run sops updatekeys"}
	case len(md.age) == 0 && len(md.others) > 0:
		return md, &Error{Err: fmt.Errorf("%w: it is encrypted to %s and to no age key", ErrUnsupported, strings.Join(md.others, ", ")),
			Hint: "first give it an age key: sops rotate -i --add-age AGE-KEY FILE"}
	case len(md.age) == 0:
		return md, fail(ErrTampered, "the metadata names no key")
	}
	return md, nil
}

var keyKinds = []string{"kms", "pgp", "gcp_kms", "hckms", "azure_kv", "hc_vault", "age"}

func keysIn(m map[string]any) (n int) {
	for _, kind := range keyKinds {
		list, _ := m[kind].([]any)
		n += len(list)
	}
	return n
}

// text is a scalar of the metadata: sops too reads them loosely.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.Format(time.RFC3339)
	case map[string]any, []any:
		return ""
	}
	return fmt.Sprint(v)
}

// unwrap finds the data key: each recipient has an age file of its own.
func (s *sopsFile) unwrap(identities []age.Identity) error {
	var who, own []string
	for _, id := range identities {
		own = append(own, publicKeys(id)...)
	}
	for _, e := range s.meta.age {
		who = append(who, e.recipient)
	}
	// Those that name our key first: others would ask plugins in vain.
	slices.SortStableFunc(s.meta.age, func(a, b ageEntry) int {
		return b2i(slices.Contains(own, b.recipient)) - b2i(slices.Contains(own, a.recipient))
	})
	damaged := false
	for _, e := range s.meta.age {
		if len(identities) == 0 {
			continue
		}
		r, err := age.Decrypt(armor.NewReader(strings.NewReader(e.enc)), slices.Clone(identities)...)
		if none := new(age.NoIdentityMatchError); errors.As(err, &none) {
			continue
		}
		if err == nil {
			s.key, err = io.ReadAll(io.LimitReader(r, 64))
		}
		if err == nil && len(s.key) == 32 {
			return nil
		}
		damaged = true
	}
	if damaged {
		return fail(ErrTampered, "the data key of a recipient is damaged")
	}
	return &Error{Err: ErrNoIdentity, Hint: "it can be opened by " + strings.Join(who, ", ")}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// publicKeys are the recipients of an identity, where it tells.
func publicKeys(id age.Identity) []string {
	switch id := id.(type) {
	case *age.X25519Identity:
		return []string{id.Recipient().String()}
	case *age.HybridIdentity:
		return []string{id.Recipient().String()}
	case interface{ PublicKeys() []string }:
		return id.PublicKeys()
	}
	return nil
}

// open decrypts all values, verifies the MAC, and only then writes plaintext.
func (s *sopsFile) open() (*Document, error) {
	mac := newMAC(s.meta.macOnlyEncrypted)
	for _, d := range s.docs {
		if err := s.rules.walk(d, func(l *leaf, path []string, encrypted bool) error {
			if encrypted {
				if err := s.openLeaf(l, path); err != nil {
					return err
				}
			}
			if !l.comment() && (encrypted || !s.meta.macOnlyEncrypted) {
				return mac.add(l, path)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	sealed, err := parseToken(s.meta.mac)
	if err != nil {
		return nil, fail(ErrTampered, "there is no MAC")
	}
	want, err := sealed.open(s.key, s.meta.lastModified.Format(time.RFC3339))
	if err != nil {
		return nil, fail(ErrTampered, "the MAC does not open")
	}
	if subtle.ConstantTimeCompare(want, mac.sum()) != 1 {
		return nil, fail(ErrTampered, "the MAC does not fit the values")
	}
	plain, err := s.plain()
	if err != nil {
		return nil, err
	}
	return s.document(plain)
}

// openLeaf decrypts one value or comment with its path as additional data.
func (s *sopsFile) openLeaf(l *leaf, path []string) error {
	if l.isComment {
		if t, err := parseToken(l.text); err == nil {
			if plain, err := t.open(s.key, additionalData(path)); err == nil && t.typ == "comment" {
				l.opened, l.value = true, string(plain)
			}
		}
		return nil // sops keeps what it cannot open as the comment itself
	}
	str, ok := l.value.(string)
	if !ok {
		return l.fail(path, ErrTampered, "it should be encrypted, and is not")
	}
	if str == "" {
		return nil
	}
	t, err := parseToken(str)
	if err != nil {
		return l.fail(path, ErrTampered, "it should be encrypted, and is not")
	}
	plain, err := t.open(s.key, additionalData(path))
	if err != nil {
		return l.fail(path, ErrTampered, "it does not open in this place")
	}
	l.opened = true
	if l.value, err = t.decode(plain); err != nil {
		return l.fail(path, ErrTampered, "%v", err)
	}
	if _, isComment := l.value.(commentText); isComment && !l.inList {
		return l.fail(path, ErrTampered, "a comment where a value belongs")
	}
	return nil
}

// additionalData is what sops binds a value to: its keys, without list
// positions.
func additionalData(path []string) string { return strings.Join(path, ":") + ":" }

// token is a parsed ENC[AES256_GCM,…].
type token struct {
	data, iv, tag []byte
	typ           string
}

var (
	tokenShape = lazy(`^ENC\[AES256_GCM,data:([A-Za-z0-9+/=]+),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]\r?$`)
	sopsMac    = lazy(`mac(__map_)?["']?\s*[:=]\s*["']?ENC\[AES256_GCM,`)
)

func parseToken(s string) (*token, error) {
	m := tokenShape().FindStringSubmatch(s)
	if m == nil {
		return nil, errors.New("not a value that sops encrypted")
	}
	t := &token{typ: m[4]}
	for i, to := range []*[]byte{&t.data, &t.iv, &t.tag} {
		var err error
		if *to, err = base64.StdEncoding.DecodeString(m[i+1]); err != nil {
			return nil, errors.New("not valid base64")
		}
	}
	return t, nil
}

func (t *token) open(key []byte, ad string) ([]byte, error) {
	gcm, err := newGCM(key, len(t.iv))
	if err != nil || len(t.tag) != gcm.Overhead() {
		return nil, errors.New("malformed")
	}
	return gcm.Open(nil, t.iv, append(t.data[:len(t.data):len(t.data)], t.tag...), []byte(ad))
}

// newGCM is AES-256-GCM with the nonces of sops, which have 32 bytes.
func newGCM(key []byte, nonce int) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil || nonce == 0 {
		return nil, errors.New("malformed")
	}
	return cipher.NewGCMWithNonceSize(block, nonce)
}

// commentText is a comment that stands where an element of a list would.
type commentText string

// decode reads the plaintext of a token by its type. Errors hold no byte of
// it.
func (t *token) decode(plain []byte) (any, error) {
	var v any
	var err error
	switch s := string(plain); t.typ {
	case "str", "bytes":
		v = s
	case "int":
		v, err = strconv.Atoi(s)
	case "float":
		v, err = strconv.ParseFloat(s, 64)
	case "bool":
		v, err = strconv.ParseBool(s)
	case "time":
		v, err = time.Parse(time.RFC3339Nano, s)
	case "comment":
		v = commentText(s)
	default:
		return nil, errors.New("its type is unknown")
	}
	if err != nil {
		return nil, errors.New("it is not of the type that it claims")
	}
	return v, nil
}

// plaintext is what sops encrypts and hashes of a value.
func plaintext(v any) (typ string, plain []byte, ok bool) {
	switch v := v.(type) {
	case string:
		return "str", []byte(v), true
	case int:
		return "int", []byte(strconv.Itoa(v)), true
	case float64:
		return "float", []byte(strconv.FormatFloat(v, 'f', -1, 64)), true
	case bool:
		if v {
			return "bool", []byte("True"), true
		}
		return "bool", []byte("False"), true
	case time.Time:
		b, err := v.MarshalText()
		return "time", b, err == nil
	}
	return "", nil, false
}

// mac is the hash that sops keeps over all values, or all encrypted ones.
type mac struct{ hash.Hash }

func newMAC(onlyEncrypted bool) mac {
	m := mac{sha512.New()}
	if onlyEncrypted { // SHA-256 of "sops": keeps the two kinds apart
		m.Write([]byte("\x8a\x3f\xd2\xad\x54\xce\x66\x52\x7b\x10\x34\xf3\xd1\x47\xbe\x0b\x0b\x97\x5b\x3b\xf4\x4f\x72\xc6\xfd\xad\xec\x81\x76\xf2\x7d\x69"))
	}
	return m
}

func (m mac) add(l *leaf, path []string) error {
	_, b, ok := plaintext(l.value)
	if !ok {
		return l.fail(path, ErrUnsupported, "a value of a kind that sops does not know")
	}
	m.Write(b)
	return nil
}

func (m mac) sum() []byte { return fmt.Appendf(nil, "%X", m.Sum(nil)) }

// lazy compiles a regular expression when it is first needed.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
