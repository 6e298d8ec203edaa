package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/atomic"
	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func importCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "turn files of sops, git-crypt, dotenvx or ansible-vault into leafseal's, in place",
		UsageText: "leafseal import [FLAG…] FILE…\nleafseal import [FLAG…] --tree DIR",
		Description: `Decrypts in memory, verifies as the file's own tool would, and seals the same
document in its place. What was in clear stays in clear, unless a rule in
.leafseal.yaml says otherwise; what was encrypted is sealed, whatever a rule
says. All files are computed before the first is written.

--tree takes every sops file (or every one of the tool that --from names)
below DIR. Where there is no .leafseal.yaml yet, one is made from the creation
rules of .sops.yaml.

The key: for sops an age identity, as everywhere; for git-crypt the file that
git-crypt export-key writes; for dotenvx its .env.keys, or the variable
DOTENV_PRIVATE_KEY…; for ansible-vault a password file, or what you type.

leafseal import config/prod.yaml
leafseal import --tree . --trust alice --trust bob
leafseal import --from git-crypt --key repo.key secrets.yaml
leafseal import --key .env.keys .env.production
leafseal import --tree group_vars --from ansible-vault --key ~/.vault-pass`,
		ArgsUsage: "FILE…",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "the tool that wrote them: `KIND` is sops, git-crypt, dotenvx or ansible-vault (default: look)"},
			&cli.StringFlag{Name: "key", Usage: "the key of git-crypt, dotenvx or ansible-vault is in `FILE`"},
			&cli.StringFlag{Name: "tree", Usage: "take all files of sops, or of the tool that --from names, below `DIR`"},
			&cli.StringSliceFlag{Name: "to", Usage: "seal to `[NAME=]KEY`, a public key or a file that holds one, and not to the policy's readers"},
			&cli.StringFlag{Name: "input", Usage: "read the file as `FORMAT` of sops (yaml, json, dotenv, ini, binary) whatever its name"},
			trustFlag(),
		},
		Action: func(c *cli.Context) error {
			files, err := e.arguments(c, 0, "FILE…")
			if err != nil {
				return err
			}
			if c.IsSet("tree") == (len(files) > 0) {
				return usagef("import needs FILE… or --tree DIR")
			}
			tools, err := e.foreignTools(c)
			if err != nil {
				return err
			}
			if c.IsSet("tree") {
				return e.importTree(c, tools[0])
			}
			return e.importFiles(c, files, tools)
		},
	}
}

// importFiles imports the files that were named, or none.
func (e *env) importFiles(c *cli.Context, files []string, tools []foreignTool) error {
	var all []*imported
	for _, path := range files {
		src, err := e.read(path)
		if err != nil {
			return err
		}
		f, err := e.openForeign(path, src, tools)
		if err != nil {
			return err
		}
		if len(tools) > 1 {
			e.say("%s: a file of %s", path, f.from)
		}
		if f.want, f.root, err = e.wanted(c, path); err != nil {
			return hintReaders(err, f)
		}
		all = append(all, f)
	}
	return e.sealForeign(c, all, nil)
}

// hintReaders names the readers that the file had where no rule names any.
// sops does not authenticate them: a shell is to see nothing but keys.
func hintReaders(err error, f *imported) error {
	var at *leafseal.Error
	to := ""
	for _, r := range f.doc.Recipients {
		if key, err := keys.Canonical(r); err == nil && !strings.Contains(key, " ") {
			to += " --to " + key
		}
	}
	if errors.As(err, &at) && errors.Is(err, leafseal.ErrPolicy) && to != "" {
		at.Hint = "to keep the readers that it names, without a policy, if you know all of their keys: leafseal import" + to + " " + f.path
	}
	return err
}

// imported is a file of another tool, opened, and how it is to be sealed.
type imported struct {
	path string
	from string // the tool's name
	src  []byte
	doc  *migrate.Document
	want leafseal.Options
	root string // the policy's folder, or ""
}

// foreignError gives an error of migrate the file's name and leafseal's exit
// code.
func foreignError(path string, err error) error {
	var at *migrate.Error
	if located := new(leafseal.Error); errors.As(err, &located) || errors.As(err, new(usageError)) {
		return err // about a key, say
	}
	if !errors.As(err, &at) {
		return &leafseal.Error{File: path, Err: err}
	}
	e := &leafseal.Error{File: path, Line: at.Line, Key: at.Key, Err: at.Err, Hint: at.Hint}
	if at.Line > 0 {
		e.Column = 1
	}
	switch {
	case errors.Is(err, migrate.ErrTampered):
		e.Err = coded{at.Err, leafseal.ErrTampered}
	case errors.Is(err, migrate.ErrNoIdentity):
		e.Err = coded{at.Err, leafseal.ErrNoIdentity}
	}
	return e
}

// coded is an error that also is of another kind.
type coded struct {
	error
	kind error
}

func (c coded) Unwrap() []error { return []error{c.error, c.kind} }

// sealForeign seals what was opened, and writes policy, if there is a new
// one, and all files, or nothing.
func (e *env) sealForeign(c *cli.Context, all []*imported, policy *newPolicy) error {
	var changes []change
	var report []string
	trusted := map[string]bool{}
	for i, f := range all {
		e.progress("sealing", i, len(all))
		if f.root != "" && !trusted[readerList(f)] {
			if err := e.trust(f.root, f.want.Readers, c.StringSlice("trust")); err != nil {
				return err
			}
			trusted[readerList(f)] = true
		}
		file, err := e.sealOne(f)
		if err != nil {
			return err
		}
		ch := change{path: f.path, was: f.src, now: []byte{}}
		line := f.path + ": empty"
		if file != nil {
			ch.now = file.Bytes()
			line = fmt.Sprintf("%s: %s sealed, readable by %s", f.path, count(file.Sealed(), "value"), names(file.Readers()))
			if r := file.Rule(); r.Only+r.Except != "" { // sops does not authenticate its rule: let a person see it
				f.doc.Notes = append([]string{"its rule: " + sealedBy(r)}, f.doc.Notes...)
			}
		}
		changes, report = append(changes, ch), append(report, line)
	}
	e.progress("", 0, 0)
	if err := e.writeTogether(changes, policy); err != nil {
		return err
	}
	for i, f := range all {
		e.say("%s", report[i])
		for _, note := range f.doc.Notes {
			e.say("%s: %s", f.path, note)
		}
	}
	e.warnLocked(changes)
	e.say("%s imported; git's history keeps the old ones, which the old keys still open", count(len(all), "file"))
	e.warnAttributes(all)
	e.warnDotenvx(all)
	e.warnAnsible(all)
	return nil
}

// warnLocked tells if leafseal finds no key for what it just sealed: sops
// looks in other places.
func (e *env) warnLocked(changes []change) {
	ids, err := e.identities()
	for _, c := range changes {
		if err != nil || len(c.now) == 0 {
			continue
		}
		if _, err := leafseal.Open(c.now, leafseal.Options{Name: c.path}, ids...); errors.Is(err, leafseal.ErrNoIdentity) {
			e.warn("leafseal finds no key that opens %s now: if yours is elsewhere (where sops looks for it), set LEAFSEAL_IDENTITY_FILE to it, or put it into %s", c.path, e.identityPath())
		}
		return
	}
}

func readerList(f *imported) string { return f.root + "\n" + names(f.want.Readers) }

// sealOne seals a document: at first all of it, and then what sops left in
// clear is shown again where the rule agrees. An empty one has no file.
func (e *env) sealOne(f *imported) (*leafseal.File, error) {
	if len(f.doc.Plain) == 0 {
		return nil, nil
	}
	o := f.want
	wanted := o.Rule
	o.Rule = leafseal.Rule{Whole: wanted.Whole}
	var err error
	if o.Readers, err = e.withRecipients(o.Readers); err != nil {
		return nil, err
	}
	if has := leafseal.FormatOf(f.path); has == "" || has == "jsonc" { // sops takes no comments in JSON
		o.Format = f.doc.Format
	}
	file, err := leafseal.New(o)
	if err != nil {
		return nil, err
	}
	if err = file.Edit(f.doc.Plain); err != nil && f.doc.Format == "text" && o.Format == "" { // sops took it for binary
		o.Format = "text"
		if file, err = leafseal.New(o); err == nil {
			err = file.Edit(f.doc.Plain)
		}
	}
	if err != nil {
		return nil, err
	}
	return file, e.revealClear(f, file, wanted)
}

// revealClear gives the file its rule: the policy's, if that says what is to
// be sealed, else sops's.
func (e *env) revealClear(f *imported, file *leafseal.File, wanted leafseal.Rule) error {
	values, err := file.Values()
	if err != nil {
		return err
	}
	rule := wanted
	if rule == (leafseal.Rule{Whole: wanted.Whole}) {
		rule.Only, rule.Except, rule.KeepComments = f.doc.Rule.Only, f.doc.Rule.Except, f.doc.Rule.KeepComments
		if f.root != "" && rule != wanted {
			f.doc.Notes = append(f.doc.Notes, "what was in clear stays so; for leafseal status to agree, say in its rule in "+leafseal.PolicyFile+": "+ruleText(rule, ", "))
		}
	}
	if file.Format() != f.doc.Format {
		return file.SetRule(rule) // one text for the other tool: all of it stays sealed
	}
	if len(values) != len(f.doc.Secret) {
		return &leafseal.Error{File: f.path, Err: errors.New("its values could not be told apart")}
	}
	var reveal []string
	secret := map[string]bool{} // a path may have several values
	for i, v := range values {
		secret[v.Path] = secret[v.Path] || f.doc.Secret[i]
	}
	for _, v := range values {
		if !secret[v.Path] {
			reveal = append(reveal, v.Path)
		}
	}
	if !f.doc.SecretComments {
		reveal = append(reveal, leafseal.AllComments)
	}
	return file.SetRule(rule, reveal...)
}

// ruleText writes a rule as the policy has it.
func ruleText(r leafseal.Rule, sep string) string {
	var parts []string
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	if r.Only != "" {
		parts = append(parts, "only: "+quote(r.Only))
	}
	if r.Except != "" {
		parts = append(parts, "except: "+quote(r.Except))
	}
	if r.KeepComments {
		parts = append(parts, "comments: keep")
	}
	return strings.Join(parts, sep)
}

// newPolicy is a policy that is to be made.
type newPolicy struct{ path, text string }

// writeTogether writes all files or none. First all of them are put on the disk
// beside the old ones: a full disk, or a kill, changes nothing. Then each takes
// its place; if that fails, or one was changed meanwhile, those before it are
// put back. A kill among these renames leaves some files of the one tool and
// some of the other, each of them whole: the same command goes on with the rest.
func (e *env) writeTogether(changes []change, policy *newPolicy) (err error) {
	staged := make([]*atomic.Staged, len(changes))
	done := 0
	defer func() {
		if err == nil {
			return
		}
		for _, s := range staged[done:] {
			if s != nil {
				s.Discard()
			}
		}
		for _, c := range changes[:done] {
			if back := e.write(c.path, c.now, c.was); back != nil {
				e.warn("%s was written before this failed, and could not be put back", c.path)
			}
		}
	}()
	for i, c := range changes {
		e.progress("writing", i, len(changes))
		if c.path == "-" {
			continue
		}
		if staged[i], err = atomic.Stage(c.path, c.was, c.now); err != nil {
			return unwritten(c.path, err)
		}
	}
	e.progress("", 0, 0)
	if policy != nil {
		if err = writePolicy(policy.path, policy.text); err != nil {
			return err
		}
	}
	for i, c := range changes {
		if c.path == "-" {
			err = e.write(c.path, c.was, c.now)
		} else {
			err = staged[i].Commit()
		}
		if err != nil {
			if policy != nil {
				os.Remove(policy.path)
			}
			return unwritten(c.path, err)
		}
		done++
	}
	return nil
}
