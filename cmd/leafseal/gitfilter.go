package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/private"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// What git calls. Paths come from git, relative to the top of the work tree,
// which is the current folder.

// filter is the filter for the work tree around the current folder. The
// returned function ends it.
func (e *env) filter() (*gitx.Filter, func() error, error) {
	objects, err := gitx.NewObjects(".")
	if err != nil {
		return nil, nil, err
	}
	seen, err := e.seen(objects)
	if err != nil {
		return nil, nil, err
	}
	kept := 0
	f := &gitx.Filter{
		Seen:       seen,
		Objects:    objects,
		Identities: e.identities,
		NewFile:    (&tracker{env: e}).begin,
		Locked:     objects.Locked(),
		Refused: func(path string, err error) {
			e.report(fmt.Errorf("%s is not stored: %w", path, err))
		},
		Kept: func(path string, err error) {
			if kept++; kept == 1 {
				e.say("%s stays ciphertext in the work tree: %s", path, reason(err))
			}
		},
	}
	return f, func() error {
		if kept > 1 {
			e.say("so do %s more", count(kept-1, "file"))
		}
		return errors.Join(objects.Close(), seen.Save())
	}, nil
}

// seenKey is the variable that hands the key of a memory to a filter that git
// starts for us, and that would ask for a passphrase again.
const seenKey = "LEAFSEAL_SEEN_KEY"

// seen is the filter's memory of this clone; nil without a key that is at
// hand.
func (e *env) seen(o *gitx.Objects) (*gitx.Seen, error) {
	ring, err := e.ring()
	if err != nil {
		return nil, nil // told when a file needs it
	}
	key, err := ring.LocalKey("git filter")
	if key == nil && err == nil {
		key, err = hex.DecodeString(e.getenv(seenKey))
	}
	if len(key) == 0 || err != nil {
		return nil, err
	}
	return gitx.OpenSeen(o, key), nil
}

// tracker begins files that git has no version of.
type tracker struct {
	*env
	repo   *repo
	begins map[kind]*beginning
}

// kind is what files have in common that begin in the same way.
type kind struct {
	rule   *leafseal.FileRule
	format string
}

// beginning is a file of a kind. From the second on, one is made ahead while
// git works.
type beginning struct {
	options leafseal.Options
	plugins bool // which may ask the person, and are not to do so in vain
	next    chan *leafseal.File
}

// begin begins a file with the readers and the rule that the policy wants.
func (t *tracker) begin(path, format string) (*leafseal.File, error) {
	r, err := t.rule(path)
	if err != nil {
		return nil, err
	}
	o := leafseal.Options{Name: path, Format: format}
	k := kind{r.FileRule, cmp.Or(format, leafseal.FormatOf(path))}
	b := t.begins[k]
	if b == nil {
		if o.Readers, err = t.trusted(r); err != nil {
			return nil, err
		}
		o.Rule = r.Rule
		b = &beginning{options: o, plugins: slices.ContainsFunc(o.Readers, func(r leafseal.Reader) bool {
			_, _, known := keys.StanzaTypes(r.Key)
			return !known
		})}
		t.begins[k] = b
		return leafseal.New(o)
	}
	var file *leafseal.File
	if b.next != nil {
		file = <-b.next
	}
	if file == nil {
		if file, err = leafseal.New(b.options); err != nil {
			return nil, err
		}
	}
	if !b.plugins {
		next := make(chan *leafseal.File, 1)
		b.next = next
		go func() {
			file, _ := leafseal.New(b.options) // told when it is needed, and fails again
			next <- file
		}()
	}
	file.SetName(path)
	return file, nil
}

// rule finds the rule for a path; the policy may change while git works.
func (t *tracker) rule(path string) (*rule, error) {
	root, rel, src, err := findPolicy(path)
	if err != nil {
		return nil, err
	}
	if root == "" {
		return nil, noPolicy(path)
	}
	if t.repo == nil || t.repo.root != root || !bytes.Equal(t.repo.src, src) {
		policy, err := leafseal.ParsePolicy(src)
		if err != nil {
			return nil, err
		}
		t.repo, t.begins = &repo{root, policy, src}, make(map[kind]*beginning)
	}
	return t.repo.ruleFor(path, rel)
}

// trusted returns the readers of a rule, if this machine knows their keys:
// there may be nobody to ask.
func (e *env) trusted(r *rule) ([]leafseal.Reader, error) {
	if err := e.trust(r.repo.root, r.readers, nil); err != nil {
		var located *leafseal.Error
		if errors.As(err, &located) && errors.Is(err, leafseal.ErrPolicy) {
			located.Hint = "if it is the right key, run: leafseal users trust " + located.Key
		}
		return nil, err
	}
	return e.withRecipients(r.readers)
}

func filterProcess(e *env) *cli.Command {
	return &cli.Command{
		Name: "filter-process", Usage: "speak git's filter protocol",
		UsageText: "leafseal git filter-process", Description: "git runs: leafseal git filter-process",
		Action: func(c *cli.Context) error {
			f, end, err := e.filter()
			if err != nil {
				return err
			}
			// So much is left for the garbage collector before it first runs;
			// it costs a tenth of the time with many small files.
			ballast := make([]byte, 32<<20)
			defer runtime.KeepAlive(ballast)
			return errors.Join(gitx.Serve(e.stdin, e.stdout, f), end())
		},
	}
}

// oneShot is the filter for one file: for JGit, and for old versions of git.
func oneShot(e *env, name string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: name + " one file from standard input",
		UsageText: "leafseal git " + name + " -- PATH", Description: "git runs: leafseal git " + name + " -- PATH",
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "PATH")
			if err != nil {
				return err
			}
			f, end, err := e.filter()
			if err != nil {
				return err
			}
			src, err := gitx.ReadSource(e.stdin)
			if err != nil {
				return err
			}
			var out gitx.Content
			if name == "smudge" {
				out = f.Smudge(args[0], src)
			} else if out, err = f.Clean(args[0], src); err != nil {
				return errors.Join(errFindings, end()) // it has been said why
			}
			_, err = out.WriteTo(e.stdout)
			return errors.Join(err, out.Close(), end())
		},
	}
}

// textconv shows a file's plain text. It is given plain text or ciphertext,
// and a failure would end git diff, so ciphertext that does not open is shown.
func textconv(e *env) *cli.Command {
	return &cli.Command{
		Name: "textconv", Usage: "print a file for git diff",
		UsageText: "leafseal git textconv -- FILE", Description: "git runs: leafseal git textconv -- FILE",
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "FILE")
			if err != nil {
				return err
			}
			src, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			f := &gitx.Filter{Identities: e.identities, Kept: func(path string, err error) {
				e.say("%s is shown as ciphertext: %s", path, reason(err))
			}}
			out := f.Show(tracked(args[0]), src)
			_, err = e.stdout.Write(out)
			return err
		},
	}
}

// tracked is the name that a temporary file of git's stands for: git-blob-XXX
// folders, and prefixes before version 2.35, keep it at the end.
func tracked(path string) string { return filepath.Base(path) }

func mergeDriver(e *env) *cli.Command {
	return &cli.Command{
		Name: "merge-driver", Usage: "merge three versions of a file",
		UsageText: "leafseal git merge-driver -- BASE OURS THEIRS MARKER-SIZE PATH", Description: "git runs: leafseal git merge-driver -- %O %A %B %L %P",
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 5, "BASE", "OURS", "THEIRS", "MARKER-SIZE", "PATH")
			if err != nil {
				return err
			}
			var sides [3][]byte
			for i := range sides {
				if sides[i], err = os.ReadFile(args[i]); err != nil {
					return err
				}
			}
			size, err := strconv.Atoi(args[3])
			if err != nil {
				return usagef("the marker size is no number")
			}
			out, conflict, err := e.merge(args[4], gitx.Sides{Base: sides[0], Ours: sides[1], Theirs: sides[2]}, size)
			if err != nil {
				return err // git keeps ours, and calls it a conflict
			}
			if err := os.WriteFile(args[1], out, 0o600); err != nil {
				return err
			}
			if conflict {
				e.say("%s: a conflict, sealed as text; edit it, and git add it without its markers", args[4])
				return errFindings
			}
			return nil
		},
	}
}

// merge merges in memory. Without a key git's text merge of the ciphertext
// does what it can: it verifies if it is clean.
func (e *env) merge(path string, s gitx.Sides, size int) (out []byte, conflict bool, err error) {
	ids, err := e.identities()
	if err != nil && !errors.Is(err, leafseal.ErrNoIdentity) {
		return nil, false, err
	}
	folder, err := e.privateFolder(false)
	if err != nil {
		return nil, false, err
	}
	closed := e.closeOnSignal(folder)
	defer func() { err = errors.Join(err, closed()) }()
	out, conflict, err = gitx.Merge(folder, path, s, size, ids)
	if errors.Is(err, leafseal.ErrNoIdentity) {
		if blind, ok := e.mergeBlind(s); ok {
			return blind, false, nil
		}
		return nil, false, &leafseal.Error{File: path, Err: err, Hint: "let someone who can open it merge, or run leafseal resolve with a key"}
	}
	return out, conflict, err
}

func (e *env) mergeBlind(s gitx.Sides) ([]byte, bool) {
	folder, err := private.OnDisk(os.TempDir()) // ciphertext only
	if err != nil {
		return nil, false
	}
	defer folder.Close()
	out, conflict, err := gitx.MergeText(folder, [3][]byte{s.Base, s.Ours, s.Theirs}, 0)
	return out, err == nil && !conflict && !bytes.Contains(out, []byte("<<<<<<< "))
}

func resolveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "resolve",
		Usage:     "merge again what git merged without leafseal",
		UsageText: "leafseal resolve FILE…",
		Description: `For a conflict in ciphertext: merges the plain text of the versions that git
has kept. What is left of the conflict is sealed as text; leafseal edit shows
it with its markers, and so does a work tree with plain text.

leafseal resolve config/prod.yaml && leafseal edit config/prod.yaml`,
		ArgsUsage: "FILE…",
		Action: func(c *cli.Context) error {
			files, err := e.arguments(c, 1, "FILE…")
			if err != nil {
				return err
			}
			conflicts := false
			for _, path := range files {
				conflict, err := e.resolve(path)
				if err != nil {
					return err
				}
				conflicts = conflicts || conflict
			}
			if conflicts {
				return errFindings
			}
			return nil
		},
	}
}

func (e *env) resolve(path string) (conflict bool, err error) {
	top := gitRoot(filepath.Dir(path))
	if top == "" {
		return false, &leafseal.Error{File: path, Err: errors.New("this is not in a git work tree")}
	}
	rel, err := (&repo{root: realPath(top)}).rel(path)
	if err != nil {
		return false, err
	}
	objects, err := gitx.NewObjects(top)
	if err != nil {
		return false, err
	}
	defer objects.Close()
	stages, err := objects.Stages(rel)
	if err != nil {
		return false, err
	}
	if stages[2] == "" || stages[3] == "" {
		return false, &leafseal.Error{File: path, Err: errors.New("git has no two versions of it to merge"), Hint: "git status tells which files are unmerged"}
	}
	var sides [4][]byte
	for i := 1; i <= 3; i++ {
		if stages[i] != "" {
			if sides[i], err = objects.Blob(stages[i]); err != nil {
				return false, err
			}
		}
	}
	was, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	out, conflict, err := e.merge(rel, gitx.Sides{Base: sides[1], Ours: sides[2], Theirs: sides[3]}, 0)
	if err != nil {
		return false, err
	}
	attributes, err := gitx.FilterAttributes(top, []string{rel})
	if err != nil {
		return false, err
	}
	if attributes[rel] == "leafseal" {
		f := &gitx.Filter{Identities: e.identities, Kept: func(string, error) {}}
		out = f.Show(rel, out)
	}
	if err := e.write(path, was, out); err != nil {
		return false, err
	}
	if conflict {
		e.say("%s: what conflicts is between markers; edit it, then git add it", path)
	} else {
		e.say("%s: merged; git add it", path)
	}
	return conflict, nil
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return strings.TrimSuffix(path, "/")
}
