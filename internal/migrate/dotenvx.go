package migrate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/leafseal/leafseal/internal/span"
)

// dotenvx (dotenvx.com) puts "encrypted:" and base64 in the place of a value:
// ECIES as eciesjs 0.5 does it, to a public key that stands in the file. The
// bytes are an ephemeral public key (65, uncompressed SEC 1), a nonce (16), a
// tag (16) and the ciphertext of AES-256-GCM. Its key is HKDF-SHA256 of the
// ephemeral public key and the shared point, both uncompressed, without salt
// and info. Nothing binds a value to its name or file.
const (
	dotenvxMark    = "encrypted:"
	dotenvxPublic  = "DOTENV_PUBLIC_KEY"
	dotenvxPrivate = "DOTENV_PRIVATE_KEY"
	dotenvxPoint   = 65
	dotenvxNonce   = 16
	dotenvxTag     = 16
)

// DotenvxKey is a private key of dotenvx.
type DotenvxKey struct {
	Name   string // of the variable that held it
	scalar *secp256k1.ModNScalar
	public []byte // compressed
}

// ParseDotenvxKeys reads the value of a variable DOTENV_PRIVATE_KEY…: keys in
// hexadecimal digits, separated by commas. The *Error it returns never holds a
// byte of them.
func ParseDotenvxKeys(name, value string) (keys []DotenvxKey, err error) {
	for _, text := range strings.Split(value, ",") {
		raw, _ := hex.DecodeString(strings.TrimSpace(text))
		k, err := readScalar(raw)
		if err != nil {
			return nil, &Error{Key: name, Err: fail(ErrForeign, "not a private key of dotenvx, which has 64 hexadecimal digits").Err,
				Hint: "a key that dotenvx keeps elsewhere is shown by: dotenvx keypair " + name}
		}
		keys = append(keys, DotenvxKey{name, k, publicOf(k).SerializeCompressed()})
	}
	return keys, nil
}

// ReadDotenvxKeys reads all private keys in a file .env.keys.
func ReadDotenvxKeys(src []byte) (keys []DotenvxKey, err error) {
	values, err := dotenvValues(src)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if !strings.HasPrefix(v.name, dotenvxPrivate) {
			continue
		}
		more, err := ParseDotenvxKeys(v.name, v.text)
		if err != nil {
			return nil, atLine(err, lineOf(src, v.Start))
		}
		keys = append(keys, more...)
	}
	if len(keys) == 0 {
		return nil, &Error{Err: fail(ErrForeign, "there is no %s in it", dotenvxPrivate).Err, Hint: "dotenvx keeps its private keys in .env.keys"}
	}
	return keys, nil
}

func atLine(err error, line int) error {
	if at := new(Error); errors.As(err, &at) {
		at.Line = line
	}
	return err
}

// open decrypts what follows "encrypted:".
func (k *DotenvxKey) open(sealed []byte) ([]byte, error) {
	if len(sealed) < dotenvxPoint+dotenvxNonce+dotenvxTag {
		return nil, errors.New("cut or malformed")
	}
	ephemeral, rest := sealed[:dotenvxPoint], sealed[dotenvxPoint:]
	public, err := readPoint(ephemeral)
	if err != nil {
		return nil, err
	}
	shared := multiply(k.scalar, public).SerializeUncompressed()
	key, err := hkdf.Key(sha256.New, slices.Concat(ephemeral, shared), nil, "", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, dotenvxNonce)
	if err != nil {
		return nil, err
	}
	nonce, tag, data := rest[:dotenvxNonce], rest[dotenvxNonce:dotenvxNonce+dotenvxTag], rest[dotenvxNonce+dotenvxTag:]
	return gcm.Open(nil, nonce, slices.Concat(data, tag), nil)
}

// envValue is an assignment, or a line that is none and has no name.
type envValue struct {
	span.Span
	name, text string // as leafseal reads them
}

func dotenvValues(src []byte) (values []envValue, err error) {
	spans, err := span.Dotenv.Find(src)
	if err != nil {
		return nil, spanError(src, err)
	}
	for _, s := range spans {
		if s.Kind != span.Value {
			continue
		}
		text, err := span.Dotenv.Text(src, s)
		if err != nil {
			return nil, spanError(src, err)
		}
		v := envValue{s, s.Path[0].Key, text}
		values = append(values, v)
	}
	return values, nil
}

var dotenvxValue = lazy(`(?m)^[ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*[=:][ \t]*["'` + "`" + `]?encrypted:B[A-P][A-Za-z0-9+/]{126}`)

// Dotenvx reports whether src looks like a file that dotenvx encrypted. It is
// quick, and may say yes to what OpenDotenvx then refuses.
func Dotenvx(src []byte) bool { return dotenvxValue().Match(src) }

// DotenvxKeyName is the variable with the private key for a file, as dotenvx
// names it: by the public key in the file, or by the file's name.
func DotenvxKeyName(src []byte, file string) string {
	values, _ := dotenvValues(src)
	for _, v := range values {
		if rest, ok := strings.CutPrefix(v.name, dotenvxPublic); ok {
			return dotenvxPrivate + rest
		}
	}
	base := strings.ToLower(path.Base(file))
	parts := strings.Split(strings.TrimSuffix(base, ".txt"), ".")
	if len(parts) < 3 {
		return dotenvxPrivate
	}
	return dotenvxPrivate + "_" + strings.ToUpper(strings.Join(parts[2:min(len(parts), 4)], "_"))
}

// OpenDotenvx decrypts a dotenv file of dotenvx with the one of the keys that
// is for it, and takes out dotenvx's public key and header. Each encrypted
// value stands in the plaintext as source text that programs read as dotenvx
// would have handed it to them; the rest is as it was.
//
// The *Error it returns wraps ErrForeign, ErrTampered, ErrNoIdentity or
// ErrUnsupported.
func OpenDotenvx(src []byte, keys []DotenvxKey) (*Document, error) {
	values, err := dotenvValues(src)
	if err != nil {
		return nil, err
	}
	x := &dotenvxFile{src: src}
	for _, v := range values {
		if strings.HasPrefix(v.name, dotenvxPublic) {
			x.publics = append(x.publics, v)
		} else {
			x.values = append(x.values, v)
		}
	}
	if err := x.choose(keys); err != nil {
		return nil, err
	}
	edits := x.headers()
	for i := range x.values {
		e, err := x.replace(&x.values[i])
		if err != nil {
			return nil, err
		}
		if e != nil {
			edits = append(edits, *e)
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	return x.document(apply(src, edits))
}

// dotenvxFile is a file of dotenvx while it is read.
type dotenvxFile struct {
	src             []byte
	publics, values []envValue
	key             *DotenvxKey
	want            []string // for each value, what leafseal must read in the plaintext
	secret          map[string]bool
	expands, change []string // names: variables in the value; read otherwise by dotenvx now
}

// choose finds the key that is for the file. All values are for one.
func (x *dotenvxFile) choose(keys []DotenvxKey) error {
	var sealed *envValue
	for i := range x.values {
		if strings.HasPrefix(x.values[i].text, dotenvxMark) {
			sealed = &x.values[i]
			break
		}
	}
	if sealed == nil {
		return &Error{Err: fail(ErrForeign, "no value in it is encrypted by dotenvx").Err, Hint: "leafseal encrypt seals plain text"}
	}
	for i := 1; i < len(x.publics); i++ {
		if x.publics[i].text != x.publics[0].text {
			return &Error{Line: lineOf(x.src, x.publics[i].Start), Key: x.publics[i].name, Err: fail(ErrUnsupported, "a second public key: leafseal reads files that are encrypted to one").Err}
		}
	}
	if len(x.publics) == 0 {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sealed.text, dotenvxMark))
		for i := range keys {
			if _, wrong := keys[i].open(raw); err == nil && wrong == nil {
				x.key = &keys[i]
				return nil
			}
		}
		return x.fail(sealed, ErrNoIdentity, "none of the private keys opens it")
	}
	public, err := hex.DecodeString(x.publics[0].text)
	if err != nil || len(public) != 33 {
		return x.fail(&x.publics[0], ErrTampered, "not a public key")
	}
	for i := range keys {
		if string(keys[i].public) == string(public) {
			x.key = &keys[i]
			return nil
		}
	}
	var have []string
	for _, k := range keys {
		have = append(have, k.Name)
	}
	return &Error{Line: lineOf(x.src, x.publics[0].Start), Key: x.publics[0].name, Err: fmt.Errorf("%w: the private keys at hand (%s) belong to other public keys", ErrNoIdentity, strings.Join(have, ", "))}
}

func (x *dotenvxFile) fail(v *envValue, kind error, format string, args ...any) *Error {
	e := fail(kind, format, args...)
	e.Line, e.Key = lineOf(x.src, v.Start), v.name
	return e
}

// replace puts the plain text of an encrypted value in its place.
func (x *dotenvxFile) replace(v *envValue) (*edit, error) {
	sealed, ok := strings.CutPrefix(v.text, dotenvxMark)
	if !ok {
		x.want = append(x.want, v.text)
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, x.fail(v, ErrTampered, "what follows encrypted: is no base64")
	}
	plain, err := x.key.open(raw)
	if err != nil {
		return nil, x.fail(v, ErrTampered, "it does not open: it was changed, or is encrypted to another key than %s", x.key.Name)
	}
	text := string(plain)
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, x.fail(v, ErrUnsupported, "a dotenv file cannot hold its bytes")
	}
	if x.secret == nil {
		x.secret = map[string]bool{}
	}
	x.secret[v.name] = true
	old := x.src[v.Start:v.End]
	quote, end := byte(0), len(dotenvxMark)+len(sealed)
	if strings.IndexByte("'\"`", old[0]) >= 0 {
		quote, end = old[0], len(old)
	}
	source, expands, same := envSource(text, quote)
	if expands {
		x.expands = append(x.expands, v.name)
	}
	if !same {
		x.change = append(x.change, v.name)
	}
	x.want = append(x.want, seenBy(text, quote).text)
	return &edit{v.Start, v.Start + end, source}, nil
}

// document proves the plaintext: leafseal reads in it what dotenvx decrypted.
func (x *dotenvxFile) document(plain []byte) (*Document, error) {
	now, err := dotenvValues(plain)
	if err != nil || len(now) != len(x.values) {
		return nil, fail(ErrUnsupported, "its plain text would not be read with the same values")
	}
	d := &Document{Format: "dotenv", Plain: plain}
	var all []placed
	for i, v := range now {
		if v.name != x.values[i].name || v.text != x.want[i] {
			return nil, x.fail(&x.values[i], ErrUnsupported, "its plain text would not be read as it is")
		}
		p := placed{dotted: v.name, secret: x.secret[v.name], known: v.name != ""}
		all, d.Secret = append(all, p), append(d.Secret, p.secret || !p.known)
	}
	d.Rule, _ = nameClear(all)
	spans, err := span.Dotenv.Find(plain)
	if err != nil {
		return nil, spanError(plain, err)
	}
	for _, s := range spans {
		if s.Kind != span.Comment {
			continue
		}
		d.Rule.KeepComments = true
		if dotenvxValue().Match(plain[s.Start:s.End]) {
			d.Notes = append(d.Notes, fmt.Sprintf("the comment in line %d holds a value that dotenvx encrypted: it stays so, and nobody can read it without dotenvx's key", lineOf(plain, s.Start)))
		}
	}
	if len(x.expands) > 0 {
		d.Notes = append(d.Notes, "dotenvx would expand the variables in "+strings.Join(x.expands, ", ")+"; leafseal hands over the text as it stands")
	}
	if len(x.change) > 0 {
		d.Notes = append(d.Notes, "written for sh and leafseal, dotenvx would read it otherwise: "+strings.Join(x.change, ", "))
	}
	return d, nil
}

// headers takes out each public key: its line, dotenvx's box above it (lines
// that start with "#/"), and the blank line and the file's name below it.
func (x *dotenvxFile) headers() (cuts []edit) {
	for _, p := range x.publics {
		from := lineStart(x.src, lineOf(x.src, p.Start))
		to := nextLine(x.src, p.End)
		for from > 0 {
			above := lineStart(x.src, lineOf(x.src, from)-1)
			if !strings.HasPrefix(string(x.src[above:from]), "#/") {
				break
			}
			from = above
		}
		blank := nextLine(x.src, to)
		name := nextLine(x.src, blank)
		if strings.TrimRight(string(x.src[to:blank]), "\r\n") == "" && strings.HasPrefix(string(x.src[blank:name]), "# .env") {
			to = name
		}
		cuts = append(cuts, edit{from, to, ""})
	}
	return cuts
}

func nextLine(src []byte, at int) int { return min(len(src), lineEnd(src, at)+1) }
