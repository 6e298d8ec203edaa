package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// largestForeign is the size up to which import --tree looks into files.
const largestForeign = 256 << 20

// importTree imports all files of a tool below a folder, or none.
func (e *env) importTree(c *cli.Context, tool foreignTool) error {
	dir := c.String("tree")
	if stat, err := os.Stat(dir); err != nil {
		return err
	} else if !stat.IsDir() {
		return usagef("--tree names a folder")
	}
	all, err := e.openTree(dir, tool)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return &leafseal.Error{File: dir, Err: fmt.Errorf("there is no file of %s in it", tool.name)}
	}
	var policy *newPolicy
	r, err := repoOf(filepath.Join(dir, leafseal.PolicyFile))
	if err != nil {
		return err
	}
	if r == nil && len(c.StringSlice("to")) == 0 && tool.name == "sops" {
		if r, policy, err = e.policyFromSops(dir, all); err != nil {
			return err
		}
	}
	for _, f := range all {
		if policy == nil {
			f.want, f.root, err = e.wanted(c, f.path)
		} else {
			err = f.follow(r)
		}
		if err != nil {
			return err
		}
	}
	if err := e.sealForeign(c, all, policy); err != nil {
		return err
	}
	if policy != nil {
		e.say("made %s from %s: look at its names and rules", filepath.Join(r.root, leafseal.PolicyFile), migrate.SopsConfig)
	}
	return nil
}

// openTree opens the files of a tool below a folder. It names all that fail.
func (e *env) openTree(dir string, tool foreignTool) (all []*imported, err error) {
	files, err := walkAll(dir)
	if err != nil {
		return nil, err
	}
	var failed error
	for i, rel := range files {
		e.progress("reading", i, len(files))
		path := filepath.Join(dir, filepath.FromSlash(rel))
		stat, err := os.Lstat(path)
		if err != nil || !stat.Mode().IsRegular() || stat.Size() > largestForeign {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !tool.wrote(path, src) {
			continue
		}
		f, err := e.openForeign(path, src, []foreignTool{tool})
		if err != nil {
			e.progress("", 0, 0)
			e.report(err)
			failed = err
			continue
		}
		all = append(all, f)
	}
	e.progress("", 0, 0)
	if failed != nil {
		e.say("nothing was written")
		return nil, fmt.Errorf("%w: %w", errFindings, failed)
	}
	return all, nil
}

// follow takes readers and rule for a file from a policy.
func (f *imported) follow(r *repo) error {
	rel, err := r.rel(f.path)
	if err != nil {
		return err
	}
	rule, err := r.ruleFor(f.path, rel)
	if err != nil {
		return err
	}
	f.want = leafseal.Options{Name: f.path, Readers: rule.readers, Rule: rule.Rule}
	f.root = r.root
	return nil
}

// policyFromSops makes a policy of the nearest .sops.yaml in or above a
// folder.
func (e *env) policyFromSops(dir string, all []*imported) (*repo, *newPolicy, error) {
	root, src, err := findSopsConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	if root == "" {
		return nil, nil, &leafseal.Error{File: dir, Err: fmt.Errorf("%w: there is neither a %s nor a %s here or above", leafseal.ErrPolicy, leafseal.PolicyFile, migrate.SopsConfig),
			Hint: "name the readers: leafseal import --tree " + dir + " --to [NAME=]KEY"}
	}
	rules, err := migrate.ReadSopsConfig(src)
	if err != nil {
		return nil, nil, foreignError(filepath.Join(root, migrate.SopsConfig), err)
	}
	b := &policyBuild{env: e, root: root, names: map[string]string{}}
	text, err := b.build(rules, all)
	if err != nil {
		return nil, nil, err
	}
	policy, err := leafseal.ParsePolicy([]byte(text))
	if err != nil {
		return nil, nil, err
	}
	return &repo{root, policy, []byte(text)}, &newPolicy{filepath.Join(root, leafseal.PolicyFile), text}, nil
}

// findSopsConfig looks upwards, to the root of the git repository.
func findSopsConfig(dir string) (root string, src []byte, err error) {
	root, err = realDir(filepath.Join(dir, migrate.SopsConfig))
	for ; err == nil; root = filepath.Dir(root) {
		src, err := os.ReadFile(filepath.Join(root, migrate.SopsConfig))
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return root, src, err
		}
		if _, err := os.Lstat(filepath.Join(root, ".git")); err == nil || root == filepath.Dir(root) {
			return "", nil, nil
		}
	}
	return "", nil, err
}

// policyBuild writes a policy.
type policyBuild struct {
	*env
	root  string
	users []leafseal.Reader
	names map[string]string // by key
	rel   map[*imported]string
	taken map[string]bool // all files; true: not to be sealed
}

func (b *policyBuild) build(rules []migrate.CreationRule, all []*imported) (string, error) {
	b.nameUsers(rules)
	var usable []migrate.CreationRule
	for _, r := range rules {
		for _, note := range r.Notes {
			b.warn("%s:%d: %s", migrate.SopsConfig, r.Line, note)
		}
		if r.Keys = b.known(r); len(r.Keys) > 0 {
			usable = append(usable, r)
		}
	}
	if err := b.place(all); err != nil {
		return "", err
	}
	files := make([][]*imported, len(usable))
	var blocks []string
	for _, f := range all {
		rel := b.rel[f]
		want := slices.IndexFunc(usable, func(r migrate.CreationRule) bool { return r.Path.MatchString(rel) })
		if want < 0 { // no rule is for it any more: those who can read it
			blocks = append(blocks, b.rule(literalGlob(rel), f.doc.Recipients, refine(leafseal.Rule{}, []*imported{f})))
			continue
		}
		files[want] = append(files[want], f)
	}
	for i, r := range usable {
		var keys []string
		for _, k := range r.Keys {
			keys = append(keys, k.Key)
		}
		rule := refine(leafseal.Rule{Only: r.Rule.Only, Except: r.Rule.Except}, files[i])
		for _, glob := range b.globs(r.Glob, files[i], slices.Concat(files[:i]...)) {
			blocks = append(blocks, b.rule(glob, keys, rule))
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# Who can read which secrets: https://github.com/leafseal/leafseal\n# Made from %s by leafseal import.\n\nusers:\n", migrate.SopsConfig)
	for _, u := range b.users {
		fmt.Fprintf(&out, "  %s: %s\n", u.Name, u.Key)
	}
	out.WriteString("\nfiles: # the first rule that matches a file is its rule\n" + strings.Join(blocks, ""))
	return out.String(), nil
}

// place notes where the files are, and which others are below the policy.
func (b *policyBuild) place(all []*imported) error {
	b.rel = map[*imported]string{}
	b.taken = map[string]bool{}
	for _, f := range all {
		rel, err := (&repo{root: b.root}).rel(f.path)
		if err != nil {
			return err
		}
		b.rel[f] = rel
	}
	files, err := listFiles(b.root)
	for _, rel := range files {
		b.taken[rel] = rel != migrate.SopsConfig
	}
	for _, rel := range b.rel {
		b.taken[rel] = false
	}
	return err
}

// globs are those of a rule. sops's expressions are about files that someone
// asks it to encrypt, leafseal's rules about all that match: a glob that takes
// in files that are plain gives way to narrower ones. The files of earlier
// rules are not in question.
func (b *policyBuild) globs(glob string, files, earlier []*imported) (globs []string) {
	rels, mayMatch := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		rels[b.rel[f]], mayMatch[b.rel[f]] = true, true
	}
	for _, f := range earlier { // an earlier rule is theirs
		mayMatch[b.rel[f]] = true
	}
	// fits: it matches all that it must, or the one that it must, and nothing else.
	fits := func(glob string, must func(rel string) bool) bool {
		if !leafseal.ValidGlob(glob) {
			return false
		}
		for rel := range rels {
			if ok, _ := doublestar.Match(glob, rel); !ok && must(rel) {
				return false
			}
		}
		for rel, plain := range b.taken {
			if ok, _ := doublestar.Match(glob, rel); ok && (plain || !mayMatch[rel]) {
				return false
			}
		}
		return true
	}
	if fits(glob, func(string) bool { return true }) {
		return []string{glob}
	}
	for _, f := range files {
		rel := b.rel[f]
		near := literalGlob(path.Dir(rel)) + "/*" + literalGlob(path.Ext(rel))
		near = strings.TrimPrefix(near, "./")
		if !fits(near, func(r string) bool { return r == rel }) {
			near = literalGlob(rel)
		}
		if !slices.Contains(globs, near) {
			globs = append(globs, near)
		}
	}
	if len(files) > 0 {
		b.warn("%s: the glob %s would take in files that are plain text: the policy names the imported ones", migrate.SopsConfig, glob)
	}
	return globs
}

// refine takes over what the files of a rule themselves say.
func refine(rule leafseal.Rule, files []*imported) leafseal.Rule {
	secret, keep := false, false
	for _, f := range files {
		if rule.Only == "" && rule.Except == "" {
			rule.Only, rule.Except = f.doc.Rule.Only, f.doc.Rule.Except
		}
		secret, keep = secret || f.doc.SecretComments, keep || f.doc.Rule.KeepComments
	}
	rule.KeepComments = keep && !secret
	return rule
}

func (b *policyBuild) rule(glob string, keys []string, rule leafseal.Rule) string {
	var who []string
	for _, k := range keys {
		if name := b.user(k, ""); name != "" {
			who = append(who, name)
		}
	}
	text := "  - path: " + strconv.Quote(glob) + "\n    for: [" + strings.Join(who, ", ") + "]\n"
	if said := ruleText(rule, "\n    "); said != "" {
		text += "    " + said + "\n"
	}
	return text
}

// literalGlob is a glob for one file: globs here have no escapes.
func literalGlob(rel string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`*?[]{}\`, r) {
			return '?'
		}
		return r
	}, rel)
}

// nameUsers gives the keys names: your own, those of the configuration, and
// numbers.
func (b *policyBuild) nameUsers(rules []migrate.CreationRule) {
	if ring, err := b.ring(); err == nil {
		if own, err := b.userName("", b.root); err == nil {
			for _, r := range rules {
				for _, k := range r.Keys {
					if k.Name == "" && slices.Contains(ring.PublicKeys(), k.Key) {
						b.user(k.Key, own)
					}
				}
			}
		}
	}
	for _, r := range rules {
		for _, k := range r.Keys {
			if k.Name != "" {
				b.user(k.Key, k.Name)
			}
		}
	}
}

// known drops keys that leafseal cannot encrypt to, with a warning.
func (b *policyBuild) known(r migrate.CreationRule) (list []migrate.NamedKey) {
	for _, k := range r.Keys {
		if b.user(k.Key, k.Name) == "" {
			b.warn("%s:%d: an age key that is not valid is left out", migrate.SopsConfig, r.Line)
			continue
		}
		list = append(list, k)
	}
	return list
}

// user returns the name of a key, and makes it a user if it is none; "" if it
// is not valid.
func (b *policyBuild) user(key, name string) string {
	key, err := keys.Canonical(key)
	if err != nil {
		return ""
	}
	if had := b.names[key]; had != "" {
		return had
	}
	taken := func(n string) bool {
		return slices.ContainsFunc(b.users, func(u leafseal.Reader) bool { return u.Name == n })
	}
	if name = strings.Join(strings.Fields(name), "-"); !leafseal.ValidName(name) || taken(name) {
		for i := 1; name == "" || !leafseal.ValidName(name) || taken(name); i++ {
			name = "user" + strconv.Itoa(i)
		}
	}
	b.users = append(b.users, leafseal.Reader{Name: name, Key: key})
	b.names[key] = name
	return name
}
