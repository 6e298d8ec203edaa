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
	"gopkg.in/yaml.v3"

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
	case "dotenv":
		err = w.dotenv()
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

func (w *sopsWriter) yaml() error {
	d, err := loadYAMLDocs(w.plain)
	if err != nil {
		return err
	}
	if err := w.yamlFits(d); err != nil {
		return err
	}
	if d, err = w.makeRoom(d); err != nil {
		return err
	}
	secret, err := w.secretNodes(d)
	if err != nil {
		return err
	}
	w.choose(func(l *leaf) bool {
		if l.isComment {
			return w.Comments
		}
		via, _ := l.via.(*yaml.Node)
		return secret[l.at.(*yaml.Node)] || via != nil && secret[via]
	})
	inBraces := map[*yaml.Node]bool{} // or brackets, where a token needs quotes
	for _, n := range d.nodes {
		markBraces(n, false, inBraces)
	}
	var edits []edit
	comments := map[string][]string{} // tokens by text, in order
	written := map[*leaf]string{}     // tokens within aliases
	if err := w.encrypt(func(l *leaf, token string) error {
		switch {
		case l.via != nil:
			written[l] = token
			return nil
		case l.isComment:
			key := strings.TrimSpace(l.text)
			comments[key] = append(comments[key], token)
			return nil
		}
		sp := d.spanOf(l)
		if inBraces[l.at.(*yaml.Node)] {
			token = `"` + token + `"`
		}
		if sp.Start > 0 && w.plain[sp.Start-1] == ':' { // {"a":1}
			token = " " + token
		}
		edits = append(edits, edit{sp.Start, sp.End, token})
		return nil
	}); err != nil {
		return err
	}
	for _, sp := range d.spans {
		if sp.Kind != span.Comment || !w.Comments {
			continue
		}
		key := string(w.plain[sp.Start:sp.End])
		tokens := comments[key]
		if len(tokens) == 0 {
			e := fail(ErrUnsupported, "a comment in a place where sops would lose it")
			e.Line = lineOf(w.plain, sp.Start)
			return e
		}
		comments[key] = tokens[1:]
		edits = append(edits, edit{bytes.LastIndexByte(w.plain[:sp.Start], '#') + 1, sp.End, tokens[0]})
	}
	for n, v := range d.aliases {
		if sp := d.at[n]; sp != nil {
			edits = append(edits, edit{sp.Start, sp.End, flow(v, written)})
		}
	}
	if len(d.aliases) > 0 {
		w.notes = append(w.notes, "aliases are written out, as sops does")
	}
	return w.attachYAML(d, edits)
}

// makeRoom puts a line for the metadata at the end of each document, before
// anything else: a comment at the end then belongs to where sops will see it.
func (w *sopsWriter) makeRoom(d *yamlDocs) (*yamlDocs, error) {
	ends := documentEnds(w.plain)
	if len(ends) != len(d.nodes) {
		return nil, fail(ErrUnsupported, "its documents could not be told apart")
	}
	var lines []edit
	br := eol(w.plain)
	for i, n := range d.nodes {
		line := strings.Repeat(" ", n.Content[0].Content[0].Column-1) + metaKey + ": x" + br
		if end := ends[i]; end > 0 && w.plain[end-1] != '\n' {
			line = br + line
		}
		lines = append(lines, edit{ends[i], ends[i], line})
	}
	w.plain = apply(w.plain, lines)
	d, err := loadYAMLDocs(w.plain)
	if err != nil {
		return nil, err
	}
	for i, tree := range d.trees {
		if keyIndex(d.nodes[i].Content[0], metaKey) < 0 {
			return nil, fail(ErrUnsupported, "its documents have no place for sops's metadata")
		}
		w.docs = append(w.docs, slices.DeleteFunc(tree, func(it item) bool { return it.comment == nil && it.key == metaKey }))
	}
	return d, nil
}

// secretNodes finds the nodes that must be encrypted.
func (w *sopsWriter) secretNodes(d *yamlDocs) (map[*yaml.Node]bool, error) {
	byStart := map[int]bool{}
	n := 0
	for _, sp := range d.spans {
		if sp.Kind != span.Value || sp.Path[0].Key == metaKey {
			continue
		}
		if n < len(w.Secret) {
			byStart[sp.Start] = w.Secret[n]
		}
		n++
	}
	if n != len(w.Secret) {
		return nil, fail(ErrUnsupported, "its values could not be told apart")
	}
	secret := map[*yaml.Node]bool{}
	for node, sp := range d.at {
		secret[node] = byStart[sp.Start]
	}
	return secret, nil
}

// flow writes what stands for an alias on one line.
func flow(v any, tokens map[*leaf]string) string {
	quote := func(s string) string {
		b, _ := json.Marshal(s) // a string
		return string(b)
	}
	var parts []string
	switch v := v.(type) {
	case branch:
		for _, it := range v {
			if it.comment != nil {
				continue
			}
			key := quote(it.key)
			if it.key == "<<" { // in quotes it would not merge
				key = "<<"
			}
			parts = append(parts, key+": "+flow(it.value, tokens))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		for _, e := range v {
			if l, ok := e.(*leaf); !ok || !l.isComment {
				parts = append(parts, flow(e, tokens))
			}
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *leaf:
		if t, ok := tokens[v]; ok {
			return `"` + t + `"`
		}
		switch x := v.value.(type) {
		case nil:
			return "null"
		case string:
			return quote(x)
		}
		return yamlText(v.value)
	}
	return ""
}

func markBraces(n *yaml.Node, in bool, marked map[*yaml.Node]bool) {
	marked[n] = in
	for _, c := range n.Content {
		markBraces(c, in || n.Style&yaml.FlowStyle != 0, marked)
	}
}

// attachYAML adds the metadata to each document.
func (w *sopsWriter) attachYAML(d *yamlDocs, edits []edit) error {
	keys, fields, err := w.metadata()
	if err != nil {
		return err
	}
	br := eol(w.plain)
	for _, n := range d.nodes {
		root := n.Content[0]
		k := keyIndex(root, metaKey)
		indent := strings.Repeat(" ", root.Content[k].Column-1)
		var b strings.Builder
		line := func(format string, args ...any) { b.WriteString(indent + fmt.Sprintf(format, args...) + br) }
		line("sops:")
		line("    age:")
		for _, k := range keys {
			line("        - enc: |")
			for l := range strings.SplitSeq(strings.TrimSuffix(k.enc, "\n"), "\n") {
				line("            %s", l)
			}
			line("          recipient: %s", k.recipient)
		}
		for _, f := range fields {
			value := f.value
			if f.name != "mac" && f.name != "version" && f.name != "unencrypted_suffix" {
				value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
			}
			line("    %s: %s", f.name, value)
		}
		start := lineStart(w.plain, root.Content[k].Line)
		edits = append(edits, edit{start, min(lineEnd(w.plain, start)+1, len(w.plain)), b.String()})
	}
	w.out = apply(w.plain, edits)
	return nil
}

// documentEnds returns where the documents of a stream end: in front of the
// next "---" or "...", or at the end.
func documentEnds(src []byte) (ends []int) {
	content := false
	for at := 0; at < len(src); {
		end := lineEnd(src, at)
		line := src[at:end]
		mark := len(line) >= 3 && (string(line[:3]) == "---" || string(line[:3]) == "...") && (len(line) == 3 || bytes.ContainsRune([]byte(" \t\r"), rune(line[3])))
		text := bytes.TrimSpace(line)
		if mark {
			if content {
				ends = append(ends, at)
			}
			content = len(bytes.TrimSpace(line[3:])) > 0 && line[0] == '-'
		} else if len(text) > 0 && text[0] != '#' && text[0] != '%' {
			content = true
		}
		at = end + 1
	}
	if content {
		ends = append(ends, len(src))
	}
	return ends
}

// yamlFits refuses what sops does not take, or does not give back.
func (w *sopsWriter) yamlFits(d *yamlDocs) error {
	var refused error
	refuse := func(n *yaml.Node, format string, args ...any) {
		if refused == nil {
			e := fail(ErrUnsupported, format, args...)
			e.Line = n.Line
			refused = e
		}
	}
	if bytes.HasPrefix(w.plain, []byte("%")) || bytes.Contains(w.plain, []byte("\n%")) {
		for at := 0; at < len(w.plain); at = lineEnd(w.plain, at) + 1 {
			if w.plain[at] == '%' {
				return fail(ErrUnsupported, "a directive of YAML (%%YAML, %%TAG), which sops does not take")
			}
		}
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode {
			return // written out, as sops does
		}
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 {
			for i := 0; i < len(n.Content); i += 2 {
				if n.Content[i].Value == metaKey && slices.Contains(d.roots(), n) {
					refuse(n.Content[i], "the key \"sops\" is reserved for sops's metadata")
				}
			}
		}
		if n.Style&yaml.TaggedStyle != 0 {
			refuse(n, "a tag (%.30s), which sops drops", n.Tag)
		}
		if n.Kind == yaml.ScalarNode {
			if why := scalarFits(n); why != "" {
				refuse(n, "%s", why)
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	for i, n := range d.nodes {
		root := n.Content[0]
		if root.Kind != yaml.MappingNode || len(root.Content) == 0 {
			refuse(n, "an empty document: sops has nothing to encrypt in it")
		} else if root.Style&yaml.FlowStyle != 0 {
			refuse(root, "a document in braces, which has no place for sops's metadata")
		}
		walk(root)
		if refused == nil && !survives(d.trees[i], !w.Comments) {
			refuse(root, "sops would write this document back with other values: because of a text of several lines that begins with blanks or a tab, or of comments in empty places")
		}
	}
	if len(d.nodes) == 0 && refused == nil {
		return fail(ErrUnsupported, "an empty document: sops has nothing to encrypt in it")
	}
	return refused
}

func (d *yamlDocs) roots() (roots []*yaml.Node) {
	for _, n := range d.nodes {
		roots = append(roots, n.Content[0])
	}
	return roots
}

var (
	yamlInt   = lazy(`^[-+]?(0x[0-9a-fA-F]+|0o[0-7]+|[0-9]+)$`)
	yamlFloat = lazy(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// scalarFits says why a scalar would not come back from sops as it is for
// readers of YAML 1.2; "" if it would.
func scalarFits(n *yaml.Node) string {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return ""
	}
	var v any
	if n.Decode(&v) != nil {
		return "a value that is not what its tag says"
	}
	switch v := v.(type) {
	case time.Time:
		if n.Value != v.Format(time.RFC3339Nano) {
			return "a date, which sops turns into a time: put it in quotes"
		}
	case int, int64, uint64, float64:
		text := strings.TrimPrefix(n.Value, "+")
		if n.Value != text {
			return "a number with a plus sign, which sops takes away: put it in quotes"
		}
		if f, ok := v.(float64); ok && (f != f || f > 1e308 || f < -1e308) {
			return "" // .nan, .inf
		}
		switch {
		case text[0] == '-' && strings.Trim(text, "-0.") == "":
			return "a number whose sign sops would drop: put it in quotes"
		case yamlInt().MatchString(text) && !strings.Contains(text, "o") && !strings.Contains(text, "x"):
			if digits := strings.TrimPrefix(text, "-"); len(digits) > 1 && digits[0] == '0' {
				return "a number with a zero in front, which readers of YAML take differently: put it in quotes"
			}
			if _, ok := v.(int); !ok {
				return "a number that sops would round: put it in quotes"
			}
		case yamlInt().MatchString(text):
			if _, ok := v.(int); !ok {
				return "a number that sops would round: put it in quotes"
			}
		case !yamlFloat().MatchString(text):
			return "a number whose spelling readers of YAML take differently: put it in quotes"
		default:
			x, ok := new(big.Rat).SetString(strings.TrimSuffix(strings.Replace(text, ".e", "e", 1), "."))
			_, after, ok2 := plaintext(v)
			y, ok3 := new(big.Rat).SetString(string(after))
			if !ok || !ok2 || !ok3 || x.Cmp(y) != 0 {
				return "a number that sops would round: put it in quotes"
			}
		}
	}
	return ""
}

// survives writes a tree as sops does when it decrypts, and reads it again.
func survives(tree branch, inline bool) bool {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(4)
	if enc.Encode(sopsNode(tree, inline)) != nil || enc.Close() != nil {
		return false
	}
	d, err := loadYAMLDocs(b.Bytes())
	return err == nil && len(d.trees) == 1 && slices.EqualFunc(flatten(nil, tree), flatten(nil, d.trees[0]), func(a, b any) bool {
		a = onlyBreaks(a)
		if f, ok := a.(float64); ok { // 1.0 becomes 1
			if i, ok := b.(int); ok {
				return f == float64(i)
			}
		}
		return sameValue(a, b)
	})
}

// onlyBreaks puts "" for a text of line breaks, which sops's library writes
// rightly, and this one does not.
func onlyBreaks(v any) any {
	if s, ok := v.(string); ok && strings.Trim(s, "\n") == "" {
		return ""
	}
	return v
}

// sopsNode is how sops writes a tree, comments too (its stores/yaml/store.go):
// it can write them so that values change.
func sopsNode(v any, inline bool) *yaml.Node {
	n := &yaml.Node{}
	switch v := v.(type) {
	case branch:
		n.Kind = yaml.MappingNode
		w := commentWriter{inline: inline}
		for _, it := range v {
			if it.comment != nil {
				w.add(it.comment)
				continue
			}
			key := &yaml.Node{}
			if key.Encode(it.key) != nil {
				return n
			}
			w.head(n, key)
			value := sopsNode(it.value, inline)
			w.line(value)
			n.Content = append(n.Content, key, value)
		}
		w.foot(n, 2)
	case list:
		n.Kind = yaml.SequenceNode
		w := commentWriter{inline: inline}
		for _, e := range v {
			if l, ok := e.(*leaf); ok && l.isComment {
				w.add(l)
				continue
			}
			value := sopsNode(e, inline)
			w.head(n, value)
			w.line(value)
			n.Content = append(n.Content, value)
		}
		w.foot(n, 1)
	case *leaf:
		if n.Encode(onlyBreaks(v.value)) != nil {
			return &yaml.Node{}
		}
	}
	return n
}

// commentWriter holds comments until what they belong to comes.
type commentWriter struct {
	inline       bool // those behind values stay there; else sops has forgotten it
	heads, lines []string
	begun        bool
}

func (w *commentWriter) add(c *leaf) {
	if c.inline && w.inline {
		w.lines = append(w.lines, "#"+c.text)
	} else {
		w.heads = append(w.heads, "#"+c.text)
	}
}

// head gives waiting comments to the collection, if this is its first entry,
// or to the entry.
func (w *commentWriter) head(collection, entry *yaml.Node) {
	to := entry
	if !w.begun {
		to, w.begun = collection, true
	}
	if len(w.heads) > 0 {
		text := strings.Join(w.heads, "\n")
		if to.HeadComment != "" {
			text += "\n" + to.HeadComment
		}
		to.HeadComment, w.heads = text, nil
	}
}

func (w *commentWriter) line(entry *yaml.Node) {
	if len(w.lines) > 0 {
		entry.LineComment, w.lines = strings.Join(w.lines, "\n"), nil
	}
}

// foot gives the comments that are left to the last entry.
func (w *commentWriter) foot(collection *yaml.Node, back int) {
	rest := strings.Join(append(w.heads, w.lines...), "\n")
	switch {
	case rest == "":
	case !w.begun:
		collection.HeadComment = rest
	default:
		collection.Content[len(collection.Content)-back].FootComment = rest
	}
}

// SopsTakes reports whether a file for sops can be written to a key: an age
// key, post-quantum or of a plugin too, but for tags, which sops takes for a
// plugin's.
func SopsTakes(key string) bool {
	return strings.HasPrefix(key, "age1") && !strings.HasPrefix(key, "age1tag1") && !strings.HasPrefix(key, "age1tagpq1")
}
