package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func checkCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "refuse plain text in git where the policy wants ciphertext",
		UsageText: "leafseal check [--staged | RANGE]",
		Description: `Reads what git has stored, and not the work tree: no attribute, filter or
setting makes a difference. Without an argument all of the index is checked;
RANGE is what git rev-list takes. For hooks: --staged before a commit, --pushed
before a push, --received on a server. Needs no key. Exits with 1 if it finds
plain text, or a conflict that is sealed as text.

leafseal check origin/main..HEAD`,
		ArgsUsage: "[RANGE]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "staged", Usage: "check what the next commit changes"},
			&cli.BoolFlag{Name: "pushed", Usage: "as a pre-push hook: what is pushed is named on standard input"},
			&cli.BoolFlag{Name: "received", Usage: "as a pre-receive hook: what comes in is named on standard input"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 0, "RANGE…")
			if err != nil {
				return err
			}
			objects, err := gitx.NewObjects(".")
			if err != nil {
				return err
			}
			defer objects.Close()
			k := &checker{env: e, objects: objects, policies: make(map[string]*leafseal.Policy)}
			switch {
			case c.Bool("staged"):
				err = k.changes("", gitx.StagedChanges)
			case c.Bool("pushed") || c.Bool("received"):
				err = k.updates(c.Bool("received"))
			case len(args) > 0:
				if err = k.commits(args); err != nil {
					err = &leafseal.Error{Err: err, Hint: "check takes commits, such as origin/main..HEAD; leafseal status FILE looks at files"}
				}
			default:
				err = k.changes("", gitx.IndexEntries)
			}
			if err != nil {
				return err
			}
			return k.report(c)
		},
	}
}

// checker looks at objects.
type checker struct {
	*env
	objects  *gitx.Objects
	policies map[string]*leafseal.Policy // by object name of a tree and folder
	found    []exposed
}

type exposed struct {
	Commit string `json:"commit,omitempty"` // "": the index
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// updates reads the lines that git gives to pre-push and pre-receive.
func (k *checker) updates(received bool) error {
	data, err := io.ReadAll(k.stdin)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if received && len(f) == 3 { // old new ref
			f = []string{f[2], f[1], f[2], f[0]}
		}
		if len(f) != 4 { // local-ref local-name remote-ref remote-name
			return usagef("standard input is not what git gives to a hook")
		}
		local := f[1]
		if strings.Trim(local, "0") == "" {
			continue // a ref is removed
		}
		revs := []string{local, "--not", "--remotes"}
		if received {
			revs = []string{local, "--not", "--all"}
		}
		if err := k.commits(revs); err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) commits(revs []string) error {
	out, err := gitx.Git(".", append([]string{"rev-list"}, append(revs, "--")...)...)
	if err != nil {
		return err
	}
	for _, commit := range strings.Fields(string(out)) {
		err := k.changes(commit, func(dir string) ([]gitx.Entry, error) { return gitx.CommitChanges(dir, commit) })
		if err != nil {
			return err
		}
	}
	return nil
}

// changes checks entries under the policies of a commit, or of the index.
func (k *checker) changes(commit string, entries func(dir string) ([]gitx.Entry, error)) error {
	list, err := entries(".")
	if err != nil {
		return err
	}
	var managed []gitx.Entry
	var rules []*leafseal.FileRule
	var names []string
	for _, entry := range list {
		policy, rel, err := k.policyFor(commit, entry.Path)
		if err != nil {
			return err
		}
		if policy == nil {
			continue
		}
		if rule := policy.Match(rel); rule != nil {
			managed, rules, names = append(managed, entry), append(rules, rule), append(names, entry.Object)
		}
	}
	why := make([]string, len(managed))
	var looking sync.WaitGroup
	cores := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, entry := range managed {
		if err := k.objects.Expect(names[i:min(i+16, len(names))]); err != nil {
			return err
		}
		blob, err := k.objects.Blob(entry.Object)
		if err != nil {
			return err
		}
		cores <- struct{}{}
		looking.Go(func() {
			why[i] = exposure(entry.Path, rules[i], blob)
			<-cores
		})
	}
	looking.Wait()
	for i, entry := range managed {
		if why[i] != "" {
			k.found = append(k.found, exposed{commit, entry.Path, why[i]})
		}
	}
	return nil
}

// policyFor finds the policy for a path in its folder or one above, as it
// stands in the same commit.
func (k *checker) policyFor(commit, path string) (*leafseal.Policy, string, error) {
	dir, rel := path, ""
	for dir != "" {
		cut := strings.LastIndexByte(dir, '/')
		dir = dir[:max(cut, 0)]
		if rel = path; dir != "" {
			rel = path[len(dir)+1:]
		}
		where := strings.TrimPrefix(dir+"/"+leafseal.PolicyFile, "/")
		policy, err := k.policyAt(commit + ":" + where)
		if policy != nil || err != nil {
			return policy, rel, err
		}
	}
	return nil, "", nil
}

func (k *checker) policyAt(name string) (*leafseal.Policy, error) {
	if p, known := k.policies[name]; known {
		return p, nil
	}
	src, err := k.objects.Blob(name)
	var p *leafseal.Policy
	if err == nil && src != nil {
		p, err = leafseal.ParsePolicy(src)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	k.policies[name] = p
	return p, nil
}

// exposure says what is wrong with the blob of a file that a rule matches, or
// "".
func exposure(path string, rule *leafseal.FileRule, blob []byte) string {
	if len(blob) == 0 {
		return ""
	}
	o := gitx.Options(path)
	info, err := leafseal.Inspect(blob, o)
	switch {
	case errors.Is(err, leafseal.ErrNotEncrypted) && rule.Plain:
		return "plain text; leafseal git status tells what keeps the filter away; then git add --renormalize it"
	case errors.Is(err, leafseal.ErrNotEncrypted):
		return "plain text; leafseal encrypt it, and git add it"
	case err != nil:
		return reason(err)
	case len(info.Exposed) > 0:
		return "plain text at " + strings.Join(info.Exposed, ", ") + "; leafseal edit seals it"
	case info.Format == "text" && o.Format != "text":
		return "a merge conflict, sealed as text; leafseal edit it"
	}
	return ""
}

func (k *checker) report(c *cli.Context) error {
	if c.Bool("json") {
		if err := k.listJSON(append([]exposed{}, k.found...)); err != nil {
			return err
		}
	}
	for _, x := range k.found {
		where := x.File
		if x.Commit != "" {
			where = x.Commit[:min(10, len(x.Commit))] + ":" + x.File
		}
		if !c.Bool("json") {
			fmt.Fprintf(k.stderr, "leafseal: %s: %s\n", printable(where), printable(x.Reason))
		}
	}
	if len(k.found) > 0 {
		return errFindings
	}
	return nil
}
