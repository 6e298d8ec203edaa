package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/atomic"
	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func gitCommand(e *env) *cli.Command {
	hidden := func(c *cli.Command) *cli.Command { c.Hidden = true; return c }
	return &cli.Command{
		Name:      "git",
		Usage:     "set up git's filter, diff, merge and hooks, or tell how they stand",
		UsageText: "leafseal git install|uninstall|status …",
		Description: `The filter keeps plain text in the work tree and ciphertext in the repository,
for files whose rule says "worktree: plain"; diff and merge work on the plain
text of all files that a rule matches; the hooks refuse plain text.

leafseal git install`,
		Subcommands: []*cli.Command{gitInstall(e), gitUninstall(e), gitStatus(e),
			hidden(filterProcess(e)), hidden(oneShot(e, "clean")), hidden(oneShot(e, "smudge")), hidden(textconv(e)), hidden(mergeDriver(e))},
	}
}

func localFlag() cli.Flag {
	return &cli.BoolFlag{Name: "local", Usage: "in this repository's configuration only, not in your global one"}
}

func scope(c *cli.Context) string {
	if c.Bool("local") {
		return "--local"
	}
	return "--global"
}

func gitInstall(e *env) *cli.Command {
	return &cli.Command{
		Name: "install", Usage: "tell git about leafseal; in a repository with a policy, write .gitattributes and hooks too",
		UsageText: "leafseal git install [--local]",
		Description: `Without --local every repository of yours knows the filter, so that a fresh
clone cannot store plain text. What others wrote is left alone, and named.

leafseal git install`,
		Flags: []cli.Flag{localFlag()},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			if err := gitx.Install(".", scope(c)); err != nil {
				return foreign(err)
			}
			e.say("git knows leafseal's filter, diff and merge (git config %s)", scope(c))
			r, err := repoOf(leafseal.PolicyFile)
			if err != nil || r == nil || gitRoot(r.root) == "" {
				return err
			}
			return e.setUpRepository(r)
		},
	}
}

func foreign(err error) error {
	if errors.Is(err, gitx.ErrForeign) {
		return &leafseal.Error{Err: err, Hint: "look at it with git config --show-origin --get-regexp leafseal, and remove it if nothing needs it"}
	}
	return err
}

// setUpRepository brings attributes and hooks in step with the policy.
func (e *env) setUpRepository(r *repo) error {
	if err := e.writeAttributes(r); err != nil {
		return err
	}
	left, err := gitx.InstallHooks(r.root)
	if err != nil {
		return err
	}
	for _, path := range left {
		e.warn("%s is not leafseal's: let it run \"leafseal check --staged\" (pre-commit) or \"leafseal check --pushed\" (pre-push) too", path)
	}
	return nil
}

// writeAttributes brings .gitattributes in step with the policy, and has git
// store anew what it has stored in plain text.
func (e *env) writeAttributes(r *repo) error {
	path := filepath.Join(r.root, ".gitattributes")
	was, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	now, err := gitx.Attributes(was, r.policy)
	if err != nil {
		return &leafseal.Error{File: filepath.Join(r.root, leafseal.PolicyFile), Err: fmt.Errorf("%w: %w", leafseal.ErrPolicy, err)}
	}
	if string(was) == string(now) {
		return nil
	}
	if was == nil {
		err = os.WriteFile(path, now, 0o644)
	} else {
		err = atomic.Replace(path, was, now)
	}
	if err != nil {
		return err
	}
	e.say("wrote %s", path)
	if installed, err := gitx.Installed(r.root); err != nil || !installed {
		return err
	}
	managed, err := r.managed()
	if err != nil {
		return err
	}
	managed = slices.DeleteFunc(managed, func(path string) bool { return !r.policy.Match(path).Plain })
	err = gitx.AddTracked(r.root, managed, true)
	if err == nil && len(managed) > 0 { // one commit is to have both
		_, err = gitx.Git(r.root, "add", "--", ".gitattributes", leafseal.PolicyFile)
	}
	if err != nil {
		e.warn("%v", err)
	}
	return nil
}

// managed lists the files that git tracks and a rule matches.
func (r *repo) managed() ([]string, error) {
	out, err := gitx.Git(r.root, "ls-files", "-z", "--", ".")
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, path := range strings.Split(string(out), "\x00") {
		if path != "" && r.policy.Match(path) != nil {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func gitUninstall(e *env) *cli.Command {
	return &cli.Command{
		Name: "uninstall", Usage: "remove from git's configuration and hooks what leafseal wrote",
		UsageText: "leafseal git uninstall [--local]", Description: "leafseal git uninstall --local",
		Flags: []cli.Flag{localFlag()},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			if err := gitx.Uninstall(".", scope(c)); err != nil {
				return err
			}
			if gitRoot(".") == "" {
				return nil
			}
			return gitx.UninstallHooks(".")
		},
	}
}

func gitStatus(e *env) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "tell what is managed, how, and whether this clone is set up",
		UsageText: "leafseal git status [--json]",
		Description: `Exits with 1 if something is missing, or if git's attributes do not say what
the policy wants.

leafseal git status`,
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			r, err := repoAround(".")
			if err != nil {
				return err
			}
			found, err := e.gitSymptoms(r)
			if err != nil {
				return err
			}
			return e.showSymptoms(c, found)
		},
	}
}

func (e *env) gitSymptoms(r *repo) ([]symptom, error) {
	var all []symptom
	tell := func(about, text string, ok bool) { all = append(all, symptom{about, text, ok}) }
	installed, err := gitx.Installed(r.root)
	if err != nil {
		return nil, err
	}
	if installed {
		tell("config", "git knows the filter, diff and merge", true)
	} else {
		tell("config", "git does not know leafseal here: leafseal git install", false)
	}
	hooks, err := gitx.HooksInstalled(r.root)
	if err != nil {
		return nil, err
	}
	if hooks {
		tell("hooks", "plain text is refused before commit and push", true)
	} else {
		tell("hooks", "nothing checks what is committed: leafseal git install", false)
	}
	managed, err := r.managed()
	if err != nil {
		return nil, err
	}
	attributes, err := gitx.FilterAttributes(r.root, managed)
	if err != nil {
		return nil, err
	}
	for _, path := range managed {
		plain := r.policy.Match(path).Plain
		switch filtered := attributes[path] == "leafseal"; {
		case plain && filtered:
			tell("file", path+": plain text in the work tree, ciphertext in git", true)
		case plain:
			tell("file", path+": the policy wants the filter, but .gitattributes does not name it: leafseal git install", false)
		case filtered:
			tell("file", path+": .gitattributes names the filter, but the policy does not want it: leafseal git install", false)
		default:
			tell("file", path+": ciphertext, also in the work tree", true)
		}
	}
	return all, nil
}

// gitLeftovers tells where git itself keeps plain text of the work tree.
func (e *env) gitLeftovers(r *repo) ([]symptom, error) {
	if !slices.ContainsFunc(r.policy.Files, func(f leafseal.FileRule) bool { return f.Plain }) {
		return nil, nil
	}
	found, err := gitx.Leftovers(r.root)
	var all []symptom
	for _, text := range found {
		all = append(all, symptom{"git", text, false})
	}
	return all, err
}
