package leafseal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"gopkg.in/yaml.v3"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/seal"
	"github.com/leafseal/leafseal/internal/span"
)

// PolicyFile is the name of the policy, at the root of a repository.
const PolicyFile = ".leafseal.yaml"

// Policy says who should be able to read which files. It is what is wanted;
// what is in force is in each file's own block.
type Policy struct {
	Users  []Reader            // in the order of the file; one entry per key
	Groups map[string][]string // names of users
	Files  []FileRule          // the first that matches a file is its rule
}

// FileRule is one entry of a policy's files.
type FileRule struct {
	Line int    // where it stands in the policy
	Path string // glob with "**", relative to the policy's folder
	For  []string
	Rule
	Plain bool // "worktree: plain": plain text in the work tree, through git's filter
}

// ParsePolicy reads a policy. One invalid rule, unknown name or unknown key
// refuses all of it: the *Error wraps ErrPolicy and has the line.
func ParsePolicy(src []byte) (*Policy, error) {
	if _, err := span.YAML.Find(src); err != nil { // finds repeated keys too
		return nil, refuse(PolicyFile, src, ErrPolicy, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{File: PolicyFile, Err: fmt.Errorf("%w: not valid YAML", ErrPolicy)}
	}
	if dec.Decode(&more) == nil {
		return nil, policyError(&more, "a policy is one document")
	}
	p := &Policy{Groups: make(map[string][]string)}
	if len(doc.Content) == 0 {
		return p, nil
	}
	err := eachKey(doc.Content[0], "the policy", map[string]func(*yaml.Node) error{
		"users": p.parseUsers, "groups": p.parseGroups, "files": p.parseFiles,
	})
	if err != nil {
		return nil, err
	}
	return p, p.checkNames(doc.Content[0])
}

func policyError(n *yaml.Node, format string, args ...any) error {
	return &Error{File: PolicyFile, Line: n.Line, Column: n.Column, Err: fmt.Errorf("%w: "+format, append([]any{ErrPolicy}, args...)...)}
}

// eachKey calls the function for each key of a map, and refuses other keys.
func eachKey(n *yaml.Node, what string, do map[string]func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return policyError(n, "%s must be a map", what)
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		f, ok := do[key.Value]
		if !ok {
			var known []string
			for k := range do {
				known = append(known, k)
			}
			slices.Sort(known)
			return policyError(key, "%s has no key %q, only %s", what, key.Value, strings.Join(known, ", "))
		}
		if err := f(value); err != nil {
			return err
		}
	}
	return nil
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// eachName calls f for each entry of a map from names to anything.
func eachName(n *yaml.Node, what string, f func(name string, value *yaml.Node) error) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return policyError(n, "%s must be a map", what)
	}
	for i := 0; i < len(n.Content); i += 2 {
		if name := n.Content[i]; !seal.ValidName(name.Value) {
			return policyError(name, "%.70q cannot be a name: letters, digits and ._@+- are allowed, up to 64", name.Value)
		}
		if err := f(n.Content[i].Value, resolve(n.Content[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// words reads one string or a list of strings.
func words(n *yaml.Node, what string) ([]string, error) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return []string{n.Value}, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, policyError(n, "%s must be a string or a list of strings", what)
	}
	var list []string
	for _, item := range n.Content {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
			return nil, policyError(item, "%s must be a string or a list of strings", what)
		}
		list = append(list, item.Value)
	}
	return list, nil
}

func (p *Policy) parseUsers(n *yaml.Node) error {
	return eachName(n, "users", func(name string, value *yaml.Node) error {
		list, err := words(value, "a user's keys")
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return policyError(value, "user %s has no key", name)
		}
		for _, k := range list {
			key, err := keys.Canonical(k)
			if err != nil {
				return policyError(value, "a key of user %s is not valid: %v", name, err)
			}
			p.Users = append(p.Users, Reader{Name: name, Key: key})
		}
		return nil
	})
}

func (p *Policy) parseGroups(n *yaml.Node) error {
	return eachName(n, "groups", func(name string, value *yaml.Node) error {
		list, err := words(value, "a group's members")
		p.Groups[name] = list
		return err
	})
}

func (p *Policy) parseFiles(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return policyError(n, "files must be a list of rules")
	}
	for _, item := range n.Content {
		if err := p.parseRule(resolve(item)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) parseRule(n *yaml.Node) error {
	r := FileRule{Line: n.Line}
	err := eachKey(n, "a rule", map[string]func(*yaml.Node) error{
		"path":     text("path", &r.Path),
		"for":      func(v *yaml.Node) (err error) { r.For, err = words(v, "for"); return err },
		"only":     text("only", &r.Only),
		"except":   text("except", &r.Except),
		"comments": choice("comments", "encrypt", "keep", &r.KeepComments),
		"seal":     choice("seal", "places", "whole", &r.Whole),
		"worktree": choice("worktree", "encrypted", "plain", &r.Plain),
	})
	switch {
	case err != nil:
		return err
	case r.Path == "":
		return policyError(n, "a rule needs a path")
	case !ValidGlob(r.Path):
		return policyError(n, "%q is not a glob relative to the policy's folder", r.Path)
	case len(r.For) == 0:
		return policyError(n, "the rule for %s names nobody: it needs a \"for\"", r.Path)
	}
	if _, err := r.Rule.compile(); err != nil {
		return policyError(n, "the rule for %s: \"only\" and \"except\" are regular expressions (RE2), this one is not valid", r.Path)
	}
	p.Files = append(p.Files, r)
	return nil
}

// ValidGlob reports whether a rule can have this path. A match may try every
// way through its "{a,b}", so there are not to be too many: a policy may come
// from anybody.
func ValidGlob(glob string) bool {
	groups, commas, ways := strings.Count(glob, "{"), strings.Count(glob, ","), 1
	for range groups {
		if ways *= (commas+groups-1)/groups + 1; ways > 100_000 {
			return false
		}
	}
	return doublestar.ValidatePattern(glob) && !strings.HasPrefix(glob, "/") && !strings.Contains(glob, `\`)
}

// text reads a string that is not empty.
func text(what string, to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || n.Value == "" {
			return policyError(n, "%s must be a string", what)
		}
		*to = n.Value
		return nil
	}
}

// choice reads one of two words, and whether it is the second.
func choice(what, no, yes string, to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Value != no && n.Value != yes {
			return policyError(n, "%s must be %s or %s", what, no, yes)
		}
		*to = n.Value == yes
		return nil
	}
}

// checkNames makes sure that every name leads to a user.
func (p *Policy) checkNames(n *yaml.Node) error {
	for i, u := range p.Users {
		if _, ok := p.Groups[u.Name]; ok {
			return policyError(n, "%s is both a user and a group", u.Name)
		}
		for _, other := range p.Users[:i] {
			if other.Key == u.Key {
				return policyError(n, "users %s and %s have the same key", other.Name, u.Name)
			}
		}
	}
	for _, g := range slices.Sorted(maps.Keys(p.Groups)) {
		for _, name := range p.Groups[g] {
			if !p.hasUser(name) {
				return policyError(n, "group %s names %q, who is no user", g, name)
			}
		}
	}
	for _, r := range p.Files {
		for _, name := range r.For {
			if _, ok := p.Groups[name]; !ok && !p.hasUser(name) {
				return &Error{File: PolicyFile, Line: r.Line, Column: 1, Err: fmt.Errorf("%w: the rule for %s names %q, who is neither a user nor a group", ErrPolicy, r.Path, name)}
			}
		}
		if len(p.Readers(&r)) == 0 {
			return &Error{File: PolicyFile, Line: r.Line, Column: 1, Err: fmt.Errorf("%w: the rule for %s leads to no reader", ErrPolicy, r.Path)}
		}
	}
	return nil
}

func (p *Policy) hasUser(name string) bool {
	return slices.ContainsFunc(p.Users, func(u Reader) bool { return u.Name == name })
}

// Match returns the rule for a file, or nil: the first whose glob matches.
// path is relative to the policy's folder, with forward slashes.
func (p *Policy) Match(path string) *FileRule {
	for i := range p.Files {
		if ok, _ := doublestar.Match(p.Files[i].Path, path); ok { // validated by parseRule
			return &p.Files[i]
		}
	}
	return nil
}

// Readers returns who should read the files of a rule, each key once, in the
// order of the rule.
func (p *Policy) Readers(r *FileRule) []Reader {
	var readers []Reader
	add := func(name string) {
		for _, u := range p.Users {
			if u.Name == name && !slices.Contains(readers, u) {
				readers = append(readers, u)
			}
		}
	}
	for _, name := range r.For {
		if members, ok := p.Groups[name]; ok {
			for _, m := range members {
				add(m)
			}
			continue
		}
		add(name)
	}
	return readers
}

// AddUser returns the policy src with a user, or one more key of a user,
// written into it, and the user added to groups. All else stays as it is
// written.
func AddUser(src []byte, name, key string, groups ...string) ([]byte, error) {
	p, err := ParsePolicy(src)
	if err != nil {
		return nil, err
	}
	if !seal.ValidName(name) {
		return nil, &Error{File: PolicyFile, Key: name, Err: fmt.Errorf("%w: this cannot be a name: letters, digits and ._@+- are allowed, up to 64", ErrPolicy)}
	}
	canonical, err := keys.Canonical(key)
	if err != nil {
		return nil, &Error{File: PolicyFile, Key: name, Err: fmt.Errorf("%w: %w", ErrPolicy, err)}
	}
	if slices.ContainsFunc(p.Users, func(u Reader) bool { return u.Name == name && u.Key == canonical }) {
		return nil, &Error{File: PolicyFile, Key: name, Err: fmt.Errorf("%w: the user has this key already", ErrPolicy)}
	}
	edit := policyEdit{src: src}
	had := slices.ContainsFunc(p.Users, func(u Reader) bool { return u.Name == name })
	if had {
		edit.appendKey(p, name, key)
	} else {
		edit.insert([]span.Step{key1("users"), key1(name)}, key)
	}
	for _, g := range groups {
		if !slices.Contains(p.Groups[g], name) {
			edit.insert([]span.Step{key1("groups"), key1(g), {Kind: span.List, Index: len(p.Groups[g])}}, name)
		}
	}
	return edit.result()
}

// RemoveUser returns the policy src without a user, in the users, in the
// groups and in the rules.
func RemoveUser(src []byte, name string) ([]byte, error) {
	p, err := ParsePolicy(src)
	if err != nil {
		return nil, err
	}
	if !p.hasUser(name) {
		return nil, &Error{File: PolicyFile, Key: name, Err: fmt.Errorf("%w: there is no such user", ErrPolicy)}
	}
	edit := policyEdit{src: src}
	for i, r := range p.Files {
		at := []span.Step{key1("files"), {Kind: span.List, Index: i}, key1("for")}
		if slices.Contains(r.For, name) && len(r.For) == 1 {
			return nil, &Error{File: PolicyFile, Line: r.Line, Column: 1, Key: name, Err: fmt.Errorf("%w: the rule for %s would lead to no reader", ErrPolicy, r.Path), Hint: "give the rule another reader first"}
		}
		edit.deleteWord(at, r.For, name)
	}
	for _, g := range slices.Sorted(maps.Keys(p.Groups)) {
		edit.deleteWord([]span.Step{key1("groups"), key1(g)}, p.Groups[g], name)
	}
	edit.delete([]span.Step{key1("users"), key1(name)})
	return edit.result()
}

// policyEdit is a series of edits of a policy's text; the first error stays.
type policyEdit struct {
	src []byte
	err error
}

func key1(k string) span.Step { return span.Step{Kind: "str", Key: k} }

func (e *policyEdit) insert(path []span.Step, text string) {
	if e.err == nil {
		e.src, e.err = span.YAML.Insert(e.src, 0, path, text)
	}
}

func (e *policyEdit) delete(path []span.Step) {
	if e.err == nil {
		e.src, e.err = span.YAML.Delete(e.src, 0, path)
	}
}

func (e *policyEdit) deleteWord(path []span.Step, list []string, name string) {
	if i := slices.Index(list, name); i >= 0 {
		e.delete(append(slices.Clone(path), span.Step{Kind: span.List, Index: i}))
	}
}

// appendKey gives a user one more key; a single key becomes a list.
func (e *policyEdit) appendKey(p *Policy, name, key string) {
	at := []span.Step{key1("users"), key1(name)}
	var had []string
	for _, u := range p.Users {
		if u.Name == name {
			had = append(had, u.Key)
		}
	}
	spans, err := span.YAML.Find(e.src)
	if err != nil {
		e.err = err
		return
	}
	a := address{steps: at}
	if i := slices.IndexFunc(spans, func(s span.Span) bool { return a.names(&s) }); i >= 0 {
		s := spans[i]
		list := "[" + string(e.src[s.Start:s.End]) + ", " + strconv.Quote(strings.TrimSpace(key)) + "]"
		e.src = span.Splice(e.src, spans[i:i+1], func(int) []byte { return []byte(list) })
		return
	}
	e.insert(append(at, span.Step{Kind: span.List, Index: len(had)}), key)
}

func (e *policyEdit) result() ([]byte, error) {
	if e.err != nil {
		return nil, refuse(PolicyFile, e.src, ErrPolicy, e.err)
	}
	if _, err := ParsePolicy(e.src); err != nil {
		return nil, err
	}
	return e.src, nil
}
