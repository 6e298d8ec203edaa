package migrate

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// A document as sops sees it: maps in order, with comments among the entries.
// Which values are encrypted, with what they are bound, and what the MAC
// covers all follow from it.

type branch []item

type item struct {
	key     string
	comment *leaf // instead of key and value
	value   any   // branch, list or *leaf
}

type list []any // branch, list or *leaf; comments are leaves

// leaf is a scalar or a comment.
type leaf struct {
	value     any // string, int, float64, bool, time.Time, nil; commentText in a list
	isComment bool
	inline    bool   // of a comment: behind a value
	inList    bool   // directly
	text      string // of a comment, without its mark
	line      int
	opened    bool // it was encrypted, and value is the plaintext
	selected  bool // the rule encrypts it
	at        any  // where it stands, for whoever made the tree
	via       any  // the alias through which it came, if any
}

func (l *leaf) comment() bool {
	_, ok := l.value.(commentText)
	return l.isComment || ok
}

func (l *leaf) fail(path []string, kind error, format string, args ...any) *Error {
	e := fail(kind, format, args...)
	e.Line, e.Key = l.line, pathName(path)
	return e
}

// pathName writes keys for a person, without control characters.
func pathName(path []string) string {
	var b strings.Builder
	for i, key := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		plain := key != ""
		for _, c := range key {
			plain = plain && strconv.IsPrint(c) && !strings.ContainsRune(` ."[]\`, c)
		}
		if !plain {
			key = strconv.Quote(key)
		}
		b.WriteString(key)
	}
	return b.String()
}

// rules say what sops encrypts: exactly one of them is set.
type rules struct {
	suffix, unSuffix         string
	regex, unRegex           *regexp.Regexp
	commentRegex, unComments *regexp.Regexp
}

const defaultSuffix = "_unencrypted"

// newRules compiles what the metadata says. sops ignores an expression that
// does not compile, and lets values stand in clear; that is refused here.
func newRules(m *metadata) (*rules, error) {
	r := &rules{suffix: m.suffix, unSuffix: m.unSuffix}
	set := 0
	for _, s := range []string{m.suffix, m.unSuffix} {
		if s != "" {
			set++
		}
	}
	for _, x := range []struct {
		name, expr string
		to         **regexp.Regexp
	}{
		{"encrypted_regex", m.regex, &r.regex}, {"unencrypted_regex", m.unRegex, &r.unRegex},
		{"encrypted_comment_regex", m.commentRegex, &r.commentRegex}, {"unencrypted_comment_regex", m.unComments, &r.unComments},
	} {
		if x.expr == "" {
			continue
		}
		re, err := regexp.Compile(x.expr)
		if err != nil {
			return nil, fail(ErrUnsupported, "its %s is not a valid regular expression (RE2)", x.name)
		}
		*x.to = re
		set++
	}
	if set > 1 {
		return nil, fail(ErrTampered, "the metadata has more than one rule for what is encrypted")
	}
	if set == 0 {
		r.unSuffix = defaultSuffix
	}
	return r, nil
}

// encrypts is sops's shouldBeEncrypted. comments are the runs of comments in
// front of the value and of all that it stands in.
func (r *rules) encrypts(path []string, comments [][]string, isComment bool) bool {
	any := func(match func(string) bool) bool {
		for _, p := range path {
			if match(p) {
				return true
			}
		}
		return false
	}
	switch {
	case r.unSuffix != "":
		return !any(func(p string) bool { return strings.HasSuffix(p, r.unSuffix) })
	case r.suffix != "":
		return any(func(p string) bool { return strings.HasSuffix(p, r.suffix) })
	case r.unRegex != nil:
		return !any(r.unRegex.MatchString)
	case r.regex != nil:
		return any(r.regex.MatchString)
	}
	for i, run := range comments {
		for j, c := range run {
			if r.unComments != nil && r.unComments.MatchString(c) {
				return false
			}
			// The comment that asks for encryption stays readable itself.
			itself := isComment && i == len(comments)-1 && j == len(run)-1
			if r.commentRegex != nil && !itself && r.commentRegex.MatchString(c) {
				return true
			}
		}
	}
	return r.commentRegex == nil
}

// walk visits the leaves of a document in the order of sops.
func (r *rules) walk(b branch, visit func(l *leaf, path []string, encrypted bool) error) error {
	return r.branch(b, nil, nil, visit)
}

func (r *rules) visit(l *leaf, path []string, comments [][]string, visit func(*leaf, []string, bool) error) error {
	l.selected = r.encrypts(path, comments, l.isComment)
	if !l.isComment && l.value == nil {
		return nil // sops passes null by
	}
	return visit(l, path, l.selected)
}

func (r *rules) branch(b branch, path []string, comments [][]string, visit func(*leaf, []string, bool) error) error {
	comments = append(comments[:len(comments):len(comments)], nil)
	run := &comments[len(comments)-1]
	for _, it := range b {
		if it.comment != nil {
			*run = append(*run, it.comment.text)
			if err := r.visit(it.comment, path, comments, visit); err != nil {
				return err
			}
			continue
		}
		if err := r.value(it.value, append(path[:len(path):len(path)], it.key), comments, visit); err != nil {
			return err
		}
		*run = nil
	}
	return nil
}

func (r *rules) value(v any, path []string, comments [][]string, visit func(*leaf, []string, bool) error) error {
	switch v := v.(type) {
	case branch:
		return r.branch(v, path, comments, visit)
	case list:
		comments = append(comments[:len(comments):len(comments)], nil)
		run := &comments[len(comments)-1]
		for _, e := range v {
			l, ok := e.(*leaf)
			if ok && l.isComment {
				*run = append(*run, l.text)
			}
			if err := r.value(e, path, comments, visit); err != nil {
				return err
			}
			if !ok || !l.isComment {
				*run = nil
			}
		}
	case *leaf:
		return r.visit(v, path, comments, visit)
	default:
		return errors.New("a tree of an unknown kind")
	}
	return nil
}
