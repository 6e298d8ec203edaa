package migrate

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/leafseal/leafseal/internal/span"
)

// Rule is a leafseal rule: regular expressions on the keys of a value joined
// by ".".
type Rule struct {
	Only, Except string
	KeepComments bool
}

// document finds the values of the plaintext and says which were secret, and
// how a rule of leafseal's says it.
func (s *sopsFile) document(plain []byte) (*Document, error) {
	d := &Document{Format: s.format, Plain: plain}
	for _, e := range s.meta.age {
		d.Recipients = append(d.Recipients, e.recipient)
	}
	if s.format == "binary" || s.asText {
		d.Format, d.Secret = "text", []bool{true}
		return d, nil
	}
	f := span.ByName(d.Format)
	spans, err := f.Find(plain)
	if err != nil {
		return nil, spanError(plain, err)
	}
	spans = slices.DeleteFunc(spans, func(sp span.Span) bool { return sp.Kind != span.Value })
	known, err := s.known(plain)
	if err != nil {
		return nil, err
	}
	var all []placed
	for _, sp := range spans {
		p := placed{dotted: dotted(sp.Path)}
		p.secret, p.known = known(sp)
		all = append(all, p)
		d.Secret = append(d.Secret, p.secret)
	}
	d.Rule, d.Notes = s.rule(all)
	d.SecretComments = s.secretComments || s.lost
	if s.lost {
		d.Notes = append(d.Notes, "a comment does not open, for sops neither: it was left as it is")
	}
	return d, nil
}

// placed is a value of the plaintext: what leafseal's rules see of it, and
// whether sops encrypted it. known is false for what sops has no value for,
// such as an empty list.
type placed struct {
	dotted        string
	secret, known bool
}

// dotted is a path as leafseal's rules see it.
func dotted(path []span.Step) string {
	var keys []string
	for _, st := range path {
		if st.Kind != span.List && st.Key != "" {
			keys = append(keys, st.Key)
		}
	}
	return strings.Join(keys, ".")
}

// known returns what is known of the values of the plaintext. Its tree and
// the encrypted file's have been compared: leaf n is leaf n.
func (s *sopsFile) known(plain []byte) (func(span.Span) (secret, known bool), error) {
	if s.flat != nil {
		return s.flat, nil
	}
	var trees []branch
	spanOf := func(l *leaf) *span.Span { return l.at.(*span.Span) }
	if s.format == "yaml" {
		d, err := loadYAMLDocs(plain)
		if err != nil {
			return nil, err
		}
		trees, spanOf = d.trees, d.spanOf
	} else {
		tree, _, err := jsonTree(plain)
		if err != nil {
			return nil, err
		}
		trees = []branch{tree}
	}
	var was, is []*leaf
	for _, t := range s.docs {
		was = values(was, t)
	}
	for _, t := range trees {
		is = values(is, t)
	}
	if len(was) != len(is) {
		return nil, fail(ErrUnsupported, "it cannot be written in plain with the same values")
	}
	secret := map[int]bool{}
	for i, l := range is {
		if sp := spanOf(l); sp != nil {
			secret[sp.Start] = secret[sp.Start] || was[i].selected
		}
	}
	return func(sp span.Span) (bool, bool) {
		is, ok := secret[sp.Start]
		return is, ok
	}, nil
}

// values lists the leaves of a tree that are no comments.
func values(dst []*leaf, v any) []*leaf {
	switch v := v.(type) {
	case branch:
		for _, it := range v {
			dst = values(dst, it.value)
		}
	case list:
		for _, e := range v {
			dst = values(dst, e)
		}
	case *leaf:
		if !v.comment() {
			dst = append(dst, v)
		}
	}
	return dst
}

// allComments lists the comments of a tree.
func allComments(dst []*leaf, v any) []*leaf {
	switch v := v.(type) {
	case branch:
		for _, it := range v {
			if it.comment != nil {
				dst = append(dst, it.comment)
			}
			dst = allComments(dst, it.value)
		}
	case list:
		for _, e := range v {
			dst = allComments(dst, e)
		}
	case *leaf:
		if v.comment() {
			dst = append(dst, v)
		}
	}
	return dst
}

// rule says in leafseal's words what sops encrypts. Where that cannot be said
// exactly it seals more, and a note says so.
func (s *sopsFile) rule(all []placed) (r Rule, notes []string) {
	secret, clear := map[string]bool{}, map[string]bool{}
	for _, p := range all {
		if p.known && p.secret {
			secret[p.dotted] = true
		} else if p.known {
			clear[p.dotted] = true
		}
	}
	r, ok := s.rules.translate()
	if s.rules.unSuffix == defaultSuffix && len(clear) == 0 {
		r = Rule{} // nobody asked for it
	}
	if ok {
		seals := r.seals()
		for path := range secret {
			ok = ok && seals(path)
		}
	}
	if !ok {
		var n int
		r, n = nameClear(all)
		notes = append(notes, fmt.Sprintf("sops's %s cannot be said as a rule on keys: the rule names %s in clear now, and seals all that comes later", s.rules.name(), counted(n, "value")))
	}
	seals := r.seals()
	var more []string
	for path := range clear {
		if seals(path) {
			more = append(more, pathName(strings.Split(path, ".")))
		}
	}
	if slices.Sort(more); len(more) > 0 {
		notes = append(notes, "in clear for sops, sealed from now on: "+strings.Join(more, ", "))
	}
	return r, append(notes, s.commentRule(&r)...)
}

// nameClear is the rule that names the n paths that are clear now: whatever
// comes later is sealed.
func nameClear(all []placed) (r Rule, n int) {
	secret := map[string]bool{}
	for _, p := range all {
		secret[p.dotted] = secret[p.dotted] || p.secret
	}
	var paths []string
	for _, p := range all {
		if p.known && p.dotted != "" && !secret[p.dotted] {
			paths = append(paths, regexp.QuoteMeta(p.dotted))
		}
	}
	slices.Sort(paths)
	if paths = slices.Compact(paths); len(paths) > 0 {
		r.Except = "^(?:" + strings.Join(paths, "|") + ")$"
	}
	return r, len(paths)
}

// commentRule keeps comments in clear if none was encrypted.
func (s *sopsFile) commentRule(r *Rule) (notes []string) {
	var comments []*leaf
	for _, d := range s.docs {
		comments = allComments(comments, d)
	}
	comments = slices.DeleteFunc(comments, func(c *leaf) bool { return c.isComment && strings.TrimSpace(c.text) == "" })
	open := 0
	for _, c := range comments {
		if c.opened {
			open++
		}
	}
	r.KeepComments = len(comments) > 0 && open == 0
	s.secretComments = open > 0
	if open > 0 && open < len(comments) {
		notes = append(notes, fmt.Sprintf("comments that sops left in clear (%d of %d) are sealed from now on, as the others are secret", len(comments)-open, len(comments)))
	}
	return notes
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// seals is what leafseal does with a rule.
func (r Rule) seals() func(dotted string) bool {
	only, except := regexp.MustCompile(r.Only), regexp.MustCompile(r.Except)
	return func(path string) bool {
		return path == "" || (r.Only == "" || only.MatchString(path)) && (r.Except == "" || !except.MatchString(path))
	}
}

// name is how sops calls the rule that is set.
func (r *rules) name() string {
	switch {
	case r.unSuffix != "":
		return "unencrypted_suffix"
	case r.suffix != "":
		return "encrypted_suffix"
	case r.unRegex != nil:
		return "unencrypted_regex"
	case r.regex != nil:
		return "encrypted_regex"
	case r.unComments != nil:
		return "unencrypted_comment_regex"
	}
	return "encrypted_comment_regex"
}

// translate turns a rule on any single key of a path into one on all keys
// joined by ".". ok is false where the result might seal less.
func (r *rules) translate() (rule Rule, ok bool) {
	const end = `(?:\.|$)`
	switch {
	case r.unSuffix != "":
		return Rule{Except: regexp.QuoteMeta(r.unSuffix) + end}, !strings.Contains(r.unSuffix, ".")
	case r.suffix != "":
		return Rule{Only: regexp.QuoteMeta(r.suffix) + end}, true
	case r.unRegex != nil:
		rule.Except, ok = dottedRegexp(r.unRegex.String(), true)
	case r.regex != nil:
		rule.Only, ok = dottedRegexp(r.regex.String(), false)
	}
	return rule, ok && rule != Rule{}
}

// dottedRegexp rewrites an expression on one key into one on keys joined by
// ".": a key begins at the start or behind a ".", and ends at the end or in
// front of one. narrow: it must match no more than before, so nothing in it
// may match a "." itself.
func dottedRegexp(expr string, narrow bool) (string, bool) {
	if m := plainExpr().FindStringSubmatch(expr); m != nil { // as most are: nicer to read than what String writes
		begin, end := "", ""
		if m[1] != "" {
			begin = `(?:^|\.)`
		}
		if m[3] != "" {
			end = `(?:\.|$)`
		}
		return begin + m[2] + end, true
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil || strings.ContainsAny(expr, "\r\n") || !rewrite(re, narrow, true, true) {
		return "", false
	}
	out := re.String()
	if _, err := regexp.Compile(out); err != nil || strings.ContainsAny(out, "\r\n") {
		return "", false
	}
	return out, true
}

// plainExpr are expressions of words, with nothing that could match a ".".
var plainExpr = lazy(`^(\^?)([\w-]+|\([\w-]+(?:\|[\w-]+)*\))(\$?)$`)

func rewrite(re *syntax.Regexp, narrow, first, last bool) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return (first || !narrow) && become(re, `(?:^|\.)`)
	case syntax.OpEndText:
		return (last || !narrow) && become(re, `(?:\.|$)`)
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpNoWordBoundary:
		return false
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return !narrow || become(re, `[^.]`)
	case syntax.OpCharClass:
		if narrow {
			withoutDot(re)
		}
		return true
	case syntax.OpLiteral:
		return !narrow || !slices.Contains(re.Rune, '.')
	}
	for i, sub := range re.Sub {
		f, l := first, last
		switch re.Op {
		case syntax.OpConcat:
			f, l = first && i == 0, last && i == len(re.Sub)-1
		case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
			f, l = false, false
		}
		if !rewrite(sub, narrow, f, l) {
			return false
		}
	}
	return true
}

func become(re *syntax.Regexp, expr string) bool {
	to, err := syntax.Parse(expr, syntax.Perl)
	if err == nil {
		*re = *to
	}
	return err == nil
}

// withoutDot takes "." out of a class, which is a list of ranges.
func withoutDot(re *syntax.Regexp) {
	var ranges []rune
	for i := 0; i+1 < len(re.Rune); i += 2 {
		lo, hi := re.Rune[i], re.Rune[i+1]
		if lo > '.' || hi < '.' {
			ranges = append(ranges, lo, hi)
			continue
		}
		if lo < '.' {
			ranges = append(ranges, lo, '.'-1)
		}
		if hi > '.' {
			ranges = append(ranges, '.'+1, hi)
		}
	}
	re.Rune = ranges
	if len(ranges) == 0 {
		re.Op = syntax.OpNoMatch
	}
}
