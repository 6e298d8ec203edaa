package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func policyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "policy",
		Usage:       "explain what the policy says of a file",
		UsageText:   "leafseal policy explain FILE",
		Description: "leafseal policy explain config/prod.yaml",
		Subcommands: []*cli.Command{{
			Name: "explain", Usage: "say which rule is for a file, and why",
			UsageText: "leafseal policy explain [--json] FILE…",
			Description: `The file need not exist. What a file says of itself, which is in force, is
shown by leafseal status.

leafseal policy explain config/prod.yaml`,
			ArgsUsage: "FILE…",
			Flags:     []cli.Flag{jsonFlag()},
			Action: func(c *cli.Context) error {
				files, err := e.arguments(c, 1, "FILE…")
				if err != nil {
					return err
				}
				list := []explained{}
				var missing error
				for _, f := range files {
					r, err := ruleFor(f)
					if err != nil {
						e.report(err)
						missing = fmt.Errorf("%w: %w", errFindings, err)
						continue
					}
					list = append(list, explain(f, r))
				}
				if c.Bool("json") {
					err = e.listJSON(list)
				} else {
					for _, x := range list {
						e.list("%s\n  rule      %s:%d  %s  (the first that matches)\n  readers   %s\n  sealed    %s",
							x.File, leafseal.PolicyFile, x.Line, x.Path, x.who, x.Sealed)
					}
				}
				if missing != nil {
					return missing
				}
				return err
			},
		}},
	}
}

type explained struct {
	File    string       `json:"file"`
	Line    int          `json:"line"`
	Path    string       `json:"path"`
	Readers []jsonReader `json:"readers"`
	Sealed  string       `json:"sealed"`

	who string
}

func explain(file string, r *rule) explained {
	var who []string
	for _, u := range r.readers {
		who = append(who, u.Name+" "+u.Key)
	}
	return explained{file, r.Line, r.Path, jsonReaders(r.readers), sealedBy(r.Rule), strings.Join(who, "\n            ")}
}

// sealedBy says what a rule seals.
func sealedBy(r leafseal.Rule) string {
	text := "every value"
	if r.Only != "" {
		text = "values whose path matches " + r.Only
	}
	if r.Except != "" {
		text += ", but not those that match " + r.Except
	}
	if !r.KeepComments {
		text += ", and comments"
	}
	if r.Whole {
		text += "; the seal covers the whole file"
	}
	return text
}

// nearestRule is the rule that a path misses by least.
func nearestRule(p *leafseal.Policy, rel string) string {
	best, score := "", -1
	for _, r := range p.Files {
		n := 0
		for n < len(rel) && n < len(r.Path) && rel[n] == r.Path[n] {
			n++
		}
		if ok, _ := path.Match(path.Base(r.Path), path.Base(rel)); ok {
			n += len(rel)
		}
		if n > score {
			best, score = fmt.Sprintf("line %d, %s", r.Line, r.Path), n
		}
	}
	return best
}
