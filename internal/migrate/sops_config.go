package migrate

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// SopsConfig is the name of sops's configuration.
const SopsConfig = ".sops.yaml"

// CreationRule is an entry of a configuration's creation_rules: the first
// whose expression matches a file's path is for it.
type CreationRule struct {
	Line  int
	Path  *regexp.Regexp // of the path from the configuration's folder
	Glob  string         // the nearest glob; it may match more or less
	Keys  []NamedKey     // its age keys
	Rule  Rule
	Notes []string // what of it leafseal cannot say
}

// NamedKey is an age recipient. Its name is its anchor, or its comment, in the
// configuration; it may be empty.
type NamedKey struct{ Name, Key string }

// ReadSopsConfig reads the creation rules of a .sops.yaml.
func ReadSopsConfig(src []byte) ([]CreationRule, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) != 1 {
		return nil, fail(ErrUnsupported, "not valid YAML")
	}
	var list []CreationRule
	for _, n := range entries(child(doc.Content[0], "creation_rules")) {
		r, err := readCreationRule(n)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func child(n *yaml.Node, key string) *yaml.Node {
	n = follow(n)
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// entries are the elements of a list; a scalar is one element.
func entries(n *yaml.Node) []*yaml.Node {
	switch n = follow(n); {
	case n == nil || n.Kind == yaml.ScalarNode && n.Value == "":
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

func scalar(n *yaml.Node, key string) string {
	if v := follow(child(n, key)); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

func readCreationRule(n *yaml.Node) (CreationRule, error) {
	r := CreationRule{Line: n.Line}
	bad := func(what string) (CreationRule, error) {
		e := fail(ErrUnsupported, "%s", what)
		e.Line = n.Line
		return r, e
	}
	var err error
	if r.Path, err = regexp.Compile(scalar(n, "path_regex")); err != nil {
		return bad("path_regex is not a valid regular expression (RE2)")
	}
	r.Glob = glob(r.Path)
	others := map[string]bool{}
	groups := entries(child(n, "key_groups"))
	if len(groups) > 1 {
		r.Notes = append(r.Notes, fmt.Sprintf("it splits the key over %d key groups (Shamir); in leafseal each reader reads alone, so it is left out", len(groups)))
		return r, nil
	}
	seen := map[*yaml.Node]bool{}
	for _, holder := range append(groups, n) {
		for _, k := range entries(child(holder, "age")) {
			r.addKeys(k, seen)
		}
		for _, kind := range []string{"pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault", "hc_vault_transit_uri"} {
			if len(entries(child(holder, kind))) > 0 {
				others[kind] = true
			}
		}
	}
	for _, kind := range []string{"pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault", "hc_vault_transit_uri"} {
		if others[kind] {
			r.Notes = append(r.Notes, "its "+kind+" keys cannot read leafseal's files: give their owners age keys")
		}
	}
	rules, err := newRules(&metadata{
		suffix: scalar(n, "encrypted_suffix"), unSuffix: scalar(n, "unencrypted_suffix"),
		regex: scalar(n, "encrypted_regex"), unRegex: scalar(n, "unencrypted_regex"),
		commentRegex: scalar(n, "encrypted_comment_regex"), unComments: scalar(n, "unencrypted_comment_regex"),
	})
	if err != nil {
		return bad("what is encrypted is not said in one valid rule")
	}
	if rules.unSuffix == defaultSuffix {
		return r, nil
	}
	var ok bool
	if r.Rule, ok = rules.translate(); !ok {
		r.Rule = Rule{}
		r.Notes = append(r.Notes, "its "+rules.name()+" cannot be said as a rule on keys: all values are sealed")
	}
	return r, nil
}

// addKeys adds the keys of a scalar, which may hold several with commas, or of
// a list. Once is enough for each node: a list may hold aliases of itself.
func (r *CreationRule) addKeys(n *yaml.Node, seen map[*yaml.Node]bool) {
	name := strings.TrimSpace(strings.TrimPrefix(n.LineComment, "#"))
	if n.Kind == yaml.AliasNode {
		name = n.Value
		n = n.Alias
	} else if n.Anchor != "" {
		name = n.Anchor
	}
	if seen[n] {
		return
	}
	seen[n] = true
	for _, e := range entries(n) {
		if e != n {
			r.addKeys(e, seen)
			continue
		}
		for key := range strings.SplitSeq(n.Value, ",") {
			key = strings.TrimSpace(key)
			if key == "" || slices.ContainsFunc(r.Keys, func(k NamedKey) bool { return k.Key == key }) {
				continue
			}
			if strings.Contains(n.Value, ",") {
				name = ""
			}
			r.Keys = append(r.Keys, NamedKey{name, key})
		}
	}
}

// anyPath stands in a glob under construction for any text, "/" included.
const anyPath = "\x00"

// glob turns an expression on paths into a glob that is as near as it can be.
func glob(path *regexp.Regexp) string {
	re, err := syntax.Parse(path.String(), syntax.Perl)
	if err != nil {
		return "**"
	}
	begins, ends := false, false
	g := globOf(re, &begins, &ends)
	if !begins {
		g = anyPath + g
	}
	if !ends {
		g += anyPath
	}
	for strings.Contains(g, anyPath+anyPath) {
		g = strings.ReplaceAll(g, anyPath+anyPath, anyPath)
	}
	if g == anyPath {
		return "**"
	}
	var b strings.Builder
	for i := 0; i < len(g); i++ {
		if g[i] != anyPath[0] {
			b.WriteByte(g[i])
			continue
		}
		left, right := i == 0 || g[i-1] == '/', i == len(g)-1 || g[i+1] == '/'
		switch {
		case left && right:
			b.WriteString("**")
		case left:
			b.WriteString("**/*")
		case right && i == len(g)-1:
			b.WriteString("{*,*/**}")
		case right:
			b.WriteString("*/**")
		default:
			b.WriteString("{*,*/**/*}")
		}
	}
	return b.String()
}

func globOf(re *syntax.Regexp, begins, ends *bool) string {
	var b strings.Builder
	each := func() (parts []string) {
		for _, sub := range re.Sub {
			parts = append(parts, globOf(sub, begins, ends))
		}
		return parts
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary:
	case syntax.OpBeginText, syntax.OpBeginLine:
		*begins = true
	case syntax.OpEndText, syntax.OpEndLine:
		*ends = true
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if strings.ContainsRune(`*?[]{}\,`, r) || re.Flags&syntax.FoldCase != 0 {
				r = '?'
			}
			b.WriteRune(r)
		}
	case syntax.OpConcat, syntax.OpCapture:
		return strings.Join(each(), "")
	case syntax.OpAlternate:
		return "{" + strings.Join(each(), ",") + "}"
	case syntax.OpQuest:
		if s := globOf(re.Sub[0], begins, ends); s != anyPath {
			return "{" + s + ",}"
		}
		return anyPath
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "?"
	case syntax.OpCharClass:
		return "?"
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		if sub := re.Sub[0]; sub.Op == syntax.OpCharClass && !inClass(sub, '/') {
			return "*"
		}
		return anyPath
	default:
		return anyPath
	}
	return b.String()
}

func inClass(re *syntax.Regexp, r rune) bool {
	for i := 0; i+1 < len(re.Rune); i += 2 {
		if re.Rune[i] <= r && r <= re.Rune[i+1] {
			return true
		}
	}
	return false
}
