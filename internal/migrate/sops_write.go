package migrate

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/leafseal/leafseal/internal/span"
)

// sopsVersion is the version of sops whose format is written.
const sopsVersion = "3.13.3"

// SopsRecipient is an age key that sops can encrypt to.
type SopsRecipient struct {
	Key       string
	Recipient age.Recipient
}

// SopsOptions say how WriteSops writes a file.
type SopsOptions struct {
	Format   string // as in internal/span
	Secret   []bool // for each value of the plaintext: encrypt it
	Comments bool   // encrypt comments
	To       []SopsRecipient
	Now      time.Time
}

// WriteSops encrypts a document so that sops opens it with any of the keys and
// has the same data. More may be encrypted than was asked for, where sops's
// rules cannot tell values apart: notes say so.
//
// The *Error it returns wraps ErrUnsupported: what sops refuses, or would
// change on the way, is refused by name.
func WriteSops(plain []byte, o SopsOptions) (out []byte, notes []string, err error) {
	w := &sopsWriter{SopsOptions: o, plain: plain, key: make([]byte, 32), mac: newMAC(false), comments: map[string]string{}}
	rand.Read(w.key)
	switch o.Format {
	case "yaml":
		if first := bytes.TrimLeft(plain, " \t\r\n\ufeff"); len(first) > 0 && first[0] == '{' && json.Valid(bytes.TrimPrefix(plain, []byte("\ufeff"))) {
			o.Format = "json"
			err = w.json()
		} else {
			err = w.yaml()
		}
	case "json":
		err = w.json()
	case "jsonc":
		o.Format = "json"
		if err = w.json(); err != nil && !json.Valid(plain) {
			err = &Error{Err: fmt.Errorf("%w: it has comments or trailing commas, which sops does not take in JSON", ErrUnsupported), Hint: "leafseal convert --to-format json --drop-comments writes a file without"}
		}
	case "dotenv":
		err = w.dotenv()
	case "ini":
		err = w.ini()
	case "toml":
		w.notes = append(w.notes, "sops has no TOML: to it the file is one text, and all of it is encrypted")
		fallthrough
	case "text":
		o.Format = "binary"
		err = w.binary()
	default:
		err = fail(ErrUnsupported, "sops has no format %s", o.Format)
	}
	if err != nil {
		return nil, nil, err
	}
	return w.out, w.notes, w.proof(o.Format)
}

type sopsWriter struct {
	SopsOptions
	plain []byte
	key   []byte
	mac   mac
	clear string   // unencrypted_regex, or ""
	docs  []branch // the plaintext as sops sees it
	out   []byte
	notes []string

	comments map[string]string // the texts of comments, by token
}

// proof reads what was written as sops does, and compares.
func (w *sopsWriter) proof(format string) error {
	s, err := w.read(format)
	if err != nil {
		return err
	}
	moved, err := w.bindComments(s)
	if err != nil {
		return err
	}
	if moved {
		if s, err = w.read(format); err != nil {
			return err
		}
		if moved, err = w.bindComments(s); err != nil || moved {
			return fail(ErrUnsupported, "a comment in a place where sops would not open it")
		}
	}
	var was, is []any
	for _, t := range w.docs {
		was = flatten(was, t)
	}
	for _, t := range s.docs {
		is = flatten(is, t)
	}
	if !slices.EqualFunc(was, is, sameValue) {
		return fail(ErrUnsupported, "sops would read other values than stand here")
	}
	return nil
}

func (w *sopsWriter) read(format string) (*sopsFile, error) {
	s, err := loadSops(w.out, format)
	if err == nil {
		s.key = w.key
		_, err = s.open()
	}
	if err != nil {
		return nil, fail(ErrUnsupported, "sops would not open it again: %v", err)
	}
	return s, nil
}

// bindComments encrypts those comments anew that did not open: one of two with
// the same text may have got the other's place.
func (w *sopsWriter) bindComments(s *sopsFile) (moved bool, err error) {
	for _, d := range s.docs {
		err := s.rules.walk(d, func(l *leaf, path []string, encrypted bool) error {
			text, ours := w.comments[l.text]
			if !l.isComment || !ours || l.opened {
				return nil
			}
			if !encrypted {
				return fail(ErrUnsupported, "a sealed comment in a place that is in clear for sops")
			}
			token, err := w.token(commentText(text), path)
			if err != nil {
				return err
			}
			w.comments[token] = text
			w.out = bytes.Replace(w.out, []byte(l.text), []byte(token), 1)
			moved = true
			return nil
		})
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// token encrypts a value or comment for its place; "" stays empty.
func (w *sopsWriter) token(v any, path []string) (string, error) {
	typ, plain, ok := plaintext(v)
	if c, isComment := v.(commentText); isComment {
		typ, plain, ok = "comment", []byte(c), true
	}
	if !ok {
		return "", fail(ErrUnsupported, "a value of a kind that sops does not know")
	}
	if len(plain) == 0 {
		return "", nil
	}
	return w.seal(plain, typ, additionalData(path))
}

func (w *sopsWriter) seal(plain []byte, typ, ad string) (string, error) {
	iv := make([]byte, 32)
	rand.Read(iv)
	gcm, err := newGCM(w.key, len(iv))
	if err != nil {
		return "", err
	}
	b := gcm.Seal(nil, iv, plain, []byte(ad))
	n := len(b) - gcm.Overhead()
	enc := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:%s]", enc(b[:n]), enc(iv), enc(b[n:]), typ), nil
}

// field is a field of the metadata: a text, or the age keys.
type field struct{ name, value string }

// metadata returns the fields, in the order of sops.
func (w *sopsWriter) metadata() (keys []ageEntry, fields []field, err error) {
	for _, to := range w.To {
		var b bytes.Buffer
		a := armor.NewWriter(&b)
		f, err := age.Encrypt(a, to.Recipient)
		if err == nil {
			_, err = f.Write(w.key)
		}
		if err == nil {
			err = f.Close()
		}
		if err == nil {
			err = a.Close()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("wrapping the data key: %w", err)
		}
		keys = append(keys, ageEntry{to.Key, b.String()})
	}
	now := w.Now.UTC().Format(time.RFC3339)
	mac, err := w.seal(w.mac.sum(), "str", now)
	rule := field{"unencrypted_suffix", defaultSuffix}
	if w.clear != "" {
		rule = field{"unencrypted_regex", w.clear}
	} else if w.hasSuffix() { // or sops would leave them in clear
		rule = field{"unencrypted_regex", `^\b$`} // matches nothing
	}
	return keys, []field{{"lastmodified", now}, {"mac", mac}, rule, {"version", sopsVersion}}, err
}

// hasSuffix reports whether a key ends in the suffix that sops heeds by
// default.
func (w *sopsWriter) hasSuffix() bool {
	found := false
	for _, d := range w.docs {
		eachPath(d, nil, func(_ *leaf, path []string) {
			found = found || slices.ContainsFunc(path, func(k string) bool { return strings.HasSuffix(k, defaultSuffix) })
		})
	}
	return found
}

// eachPath visits all leaves of a tree, comments too.
func eachPath(v any, path []string, visit func(l *leaf, path []string)) {
	switch v := v.(type) {
	case branch:
		for _, it := range v {
			if it.comment != nil {
				visit(it.comment, path)
			} else {
				eachPath(it.value, append(path[:len(path):len(path)], it.key), visit)
			}
		}
	case list:
		for _, e := range v {
			eachPath(e, path, visit)
		}
	case *leaf:
		visit(v, path)
	}
}

// choose finds a rule of sops's that leaves in clear what may be so, and
// nothing else: a list of keys. secret tells what must be encrypted.
func (w *sopsWriter) choose(secret func(*leaf) bool) {
	taken := map[string]bool{} // keys above something secret
	for _, d := range w.docs {
		eachPath(d, nil, func(l *leaf, path []string) {
			if secret(l) {
				for _, k := range path {
					taken[k] = true
				}
			}
		})
	}
	var keys, more []string
	for _, d := range w.docs {
		eachPath(d, nil, func(l *leaf, path []string) {
			if l.isComment || secret(l) {
				return
			}
			i := slices.IndexFunc(path, func(k string) bool { return !taken[k] && utf8.ValidString(k) })
			if name := pathName(path); i < 0 && !slices.Contains(more, name) {
				more = append(more, name)
			} else if i >= 0 && !slices.Contains(keys, path[i]) {
				keys = append(keys, path[i])
			}
		})
	}
	if len(keys) > 0 {
		slices.Sort(keys)
		for i, k := range keys {
			keys[i] = regexp.QuoteMeta(k)
		}
		w.clear = "^(" + strings.Join(keys, "|") + ")$"
	}
	if len(more) > 0 {
		w.notes = append(w.notes, "in clear here, but encrypted for sops, whose rules cannot tell them from secret ones: "+strings.Join(more, ", "))
	}
}

// encrypt walks over the document as sops will, encrypts what its rule says,
// and adds all values to the MAC. put gets the tokens.
func (w *sopsWriter) encrypt(put func(l *leaf, token string) error) error {
	rules := &rules{unSuffix: "\x00none"}
	if w.clear != "" {
		re, err := regexp.Compile(w.clear)
		if err != nil {
			return err
		}
		rules.unSuffix, rules.unRegex = "", re
	}
	for _, d := range w.docs {
		if err := rules.walk(d, func(l *leaf, path []string, encrypted bool) error {
			if !l.isComment {
				if err := w.mac.add(l, path); err != nil {
					return err
				}
			}
			if !encrypted || l.isComment && !w.Comments {
				return nil
			}
			v := l.value
			if l.isComment {
				v = commentText(l.text)
			}
			token, err := w.token(v, path)
			if err != nil {
				return l.fail(path, ErrUnsupported, "sops cannot hold it")
			}
			if token == "" {
				return nil
			}
			if l.isComment {
				w.comments[token] = l.text
			}
			return put(l, token)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (w *sopsWriter) binary() error {
	l := &leaf{value: string(w.plain)}
	w.docs = []branch{{{key: "data", value: l}}}
	var data string
	if err := w.encrypt(func(_ *leaf, token string) error { data = token; return nil }); err != nil {
		return err
	}
	w.out = []byte("{\n\t\"data\": \"" + data + "\"\n}\n")
	return w.attachJSON()
}

func (w *sopsWriter) json() error {
	if !utf8.Valid(w.plain) {
		return fail(ErrUnsupported, "it is not valid UTF-8, which sops would change")
	}
	if !json.Valid(w.plain) {
		return fail(ErrUnsupported, "not JSON as sops reads it: it takes no byte order mark")
	}
	tree, spans, err := jsonTree(w.plain)
	if err != nil {
		return err
	}
	w.docs = []branch{tree}
	if err := w.jsonFits(spans); err != nil {
		return err
	}
	at := map[*span.Span]bool{} // secret
	for i := range spans {
		at[&spans[i]] = w.Secret[i]
	}
	w.choose(func(l *leaf) bool { return at[l.at.(*span.Span)] })
	var edits []edit
	if err := w.encrypt(func(l *leaf, token string) error {
		sp := l.at.(*span.Span)
		edits = append(edits, edit{sp.Start, sp.End, `"` + token + `"`})
		return nil
	}); err != nil {
		return err
	}
	w.out = apply(w.plain, edits)
	return w.attachJSON()
}

// jsonFits refuses what sops does not take, or does not give back.
func (w *sopsWriter) jsonFits(spans []span.Span) error {
	if len(w.Secret) != len(spans) {
		return fail(ErrUnsupported, "its values could not be told apart")
	}
	if len(spans) == 0 {
		return fail(ErrUnsupported, "an empty document: sops has nothing to encrypt in it")
	}
	for _, sp := range spans {
		text := w.plain[sp.Start:sp.End]
		refuse := func(why string) error {
			e := fail(ErrUnsupported, "%s", why)
			e.Line, e.Key = lineOf(w.plain, sp.Start), pathName(strings.Split(dotted(sp.Path), "."))
			return e
		}
		switch {
		case sp.Path[0].Key == metaKey:
			return refuse("the key \"sops\" is reserved for sops's metadata")
		case hasSurrogate(text):
			return refuse("half a surrogate pair, which sops would replace")
		case (text[0] == '-' || '0' <= text[0] && text[0] <= '9') && !keepsNumber(string(text)):
			return refuse("a number that sops would round: put it in quotes")
		}
	}
	if at := duplicateKey(w.plain); at >= 0 {
		e := fail(ErrUnsupported, "a key stands there twice, and readers differ on which one counts")
		e.Line = lineOf(w.plain, at)
		return e
	}
	return nil
}

// duplicateKey returns where a key of JSON stands for the second time, or -1.
func duplicateKey(src []byte) int {
	dec := json.NewDecoder(bytes.NewReader(src))
	var keys []map[string]bool // nil in a list
	key := false
	for {
		t, err := dec.Token()
		if err != nil {
			return -1
		}
		switch t {
		case json.Delim('{'):
			keys, key = append(keys, map[string]bool{}), true
			continue
		case json.Delim('['):
			keys, key = append(keys, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			keys = keys[:len(keys)-1]
		default:
			if name, ok := t.(string); ok && key {
				if top := keys[len(keys)-1]; top[name] {
					return int(dec.InputOffset()) - 1
				} else {
					top[name] = true
				}
				key = false
				continue
			}
		}
		key = len(keys) > 0 && keys[len(keys)-1] != nil
	}
}

func hasSurrogate(text []byte) bool {
	if text[0] != '"' || !bytes.Contains(text, []byte(`\u`)) {
		return false
	}
	var s string
	return json.Unmarshal(text, &s) != nil || strings.ContainsRune(s, utf8.RuneError) && !bytes.ContainsRune(text, utf8.RuneError) && !bytes.Contains(bytes.ToLower(text), []byte(`\ufffd`))
}

// keepsNumber reports whether a decimal number is the same number once sops
// has read and written it.
func keepsNumber(text string) bool {
	var l leaf
	b := &jsonBuild{src: []byte(text), spans: []span.Span{{End: len(text)}}}
	if v, ok := b.value(0).(*leaf); ok && b.err == nil {
		l = *v
	}
	_, after, ok := plaintext(l.value)
	if !ok || len(text) > 400 || text[0] == '-' && strings.Trim(text, "-0.") == "" { // -0 loses its sign
		return false
	}
	x, ok1 := new(big.Rat).SetString(text)
	y, ok2 := new(big.Rat).SetString(string(after))
	return ok1 && ok2 && x.Cmp(y) == 0
}

// attachJSON adds the metadata as the last member of the root.
func (w *sopsWriter) attachJSON() error {
	keys, fields, err := w.metadata()
	if err != nil {
		return err
	}
	type entry struct {
		Enc       string `json:"enc"`
		Recipient string `json:"recipient"`
	}
	var b bytes.Buffer
	b.WriteString("{")
	var list []entry
	for _, k := range keys {
		list = append(list, entry{k.enc, k.recipient})
	}
	put := func(name string, v any) {
		text, _ := json.Marshal(v) // strings only
		fmt.Fprintf(&b, "%q:%s", name, text)
	}
	put("age", list)
	for _, f := range fields {
		b.WriteByte(',')
		put(f.name, f.value)
	}
	b.WriteString("}")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b.Bytes(), "\t", "\t"); err != nil {
		return err
	}
	end := bytes.LastIndexByte(w.out, '}')
	head := bytes.TrimRight(w.out[:end], " \t\r\n")
	comma := ",\n"
	if head[len(head)-1] == '{' {
		comma = "\n"
	}
	w.out = slices.Concat(head, []byte(comma+"\t\"sops\": "), pretty.Bytes(), []byte("\n"), w.out[end:])
	return nil
}

func (w *sopsWriter) dotenv() error {
	if i := bytes.Index(w.plain, []byte("\r\n")); i >= 0 {
		e := fail(ErrUnsupported, "its lines end in CRLF, which sops takes for a part of values")
		e.Line, e.Hint = lineOf(w.plain, i), "convert it to LF"
		return e
	}
	secret, err := w.secretLines()
	if err != nil {
		return err
	}
	at, err := w.dotenvLeaves()
	if err != nil {
		return err
	}
	w.choose(func(l *leaf) bool { return !l.isComment && secret[l.line] })
	var edits []edit
	if err := w.encrypt(func(l *leaf, token string) error {
		e := at[l]
		e.text = token
		edits = append(edits, e)
		return nil
	}); err != nil {
		return err
	}
	w.out = apply(w.plain, edits)
	if len(w.out) > 0 && w.out[len(w.out)-1] != '\n' {
		w.out = append(w.out, '\n')
	}
	keys, fields, err := w.metadata()
	for i, k := range keys {
		w.out = fmt.Appendf(w.out, "sops_age__list_%d__map_enc=%s\nsops_age__list_%d__map_recipient=%s\n", i, strings.ReplaceAll(k.enc, "\n", `\n`), i, k.recipient)
	}
	for _, f := range fields {
		w.out = fmt.Appendf(w.out, "sops_%s=%s\n", f.name, f.value)
	}
	return err
}

// secretLines says which lines hold what must be encrypted.
func (w *sopsWriter) secretLines() (map[int]bool, error) {
	spans, err := span.Dotenv.Find(w.plain)
	if err != nil {
		return nil, spanError(w.plain, err)
	}
	spans = slices.DeleteFunc(spans, func(sp span.Span) bool { return sp.Kind != span.Value })
	if len(spans) != len(w.Secret) {
		return nil, fail(ErrUnsupported, "its values could not be told apart")
	}
	secret := map[int]bool{}
	var lines lineCounter
	for i, sp := range spans {
		line := lines.of(w.plain, sp.Start)
		if bytes.IndexByte(w.plain[sp.Start:sp.End], '\n') >= 0 {
			e := fail(ErrUnsupported, "a value of several lines: sops reads line by line")
			e.Line, e.Hint = line, `write it as one line, with \n in double quotes`
			return nil, e
		}
		secret[line] = w.Secret[i]
	}
	return secret, nil
}

// dotenvLeaves reads lines as sops does, and returns where the leaves stand.
func (w *sopsWriter) dotenvLeaves() (map[*leaf]edit, error) {
	var doc branch
	at := map[*leaf]edit{}
	for pos, n := 0, 1; pos < len(w.plain); n++ {
		end := lineEnd(w.plain, pos)
		line := string(w.plain[pos:end])
		key, value, ok := strings.Cut(line, "=")
		why := ""
		switch {
		case line == "":
		case line[0] == '#':
			l := &leaf{isComment: true, text: line[1:], line: n}
			doc, at[l] = append(doc, item{comment: l}), edit{start: pos + 1, end: end}
		case !ok:
			why = "a line that sops does not take: neither KEY=VALUE nor a comment from its start"
		case strings.HasPrefix(key, metaKey+"_"):
			why = "a name that begins with sops_, which is reserved for sops's metadata"
		case strings.HasPrefix(strings.TrimLeft(key, " \t"), "#"):
			why = "an indented comment, which sops takes for a name"
		default:
			l := &leaf{value: unescapeLines(value), line: n}
			doc, at[l] = append(doc, item{key: key, value: l}), edit{start: pos + len(key) + 1, end: end}
		}
		if why != "" {
			e := fail(ErrUnsupported, "%s", why)
			e.Line = n
			return nil, e
		}
		pos = end + 1
	}
	w.docs = []branch{doc}
	return at, nil
}

// SopsTakes reports whether a file for sops can be written to a key: an age
// key, post-quantum or of a plugin too, but for tags, which sops takes for a
// plugin's.
func SopsTakes(key string) bool {
	return strings.HasPrefix(key, "age1") && !strings.HasPrefix(key, "age1tag1") && !strings.HasPrefix(key, "age1tagpq1")
}
