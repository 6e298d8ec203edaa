package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func applyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "make files match the policy",
		UsageText: "leafseal apply [FLAG…] [PATH…]",
		Description: `Gives each encrypted file the readers and the rule that .leafseal.yaml wants.
A removed reader means a new data key; what they have seen must be changed at
its source, and is listed. It asks before it lets anyone read more. Values
that were sealed stay sealed unless --reveal names them.

leafseal apply --dry-run
leafseal apply config/app.yaml --reveal server.port`,
		ArgsUsage: "[PATH…]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "only list what would change"},
			&cli.StringSliceFlag{Name: "reveal", Usage: "put the value at `PATH` in clear, as the rule says (\"#\": the comments)"},
			yesFlag(), trustFlag(),
		},
		Action: func(c *cli.Context) error {
			paths, err := e.arguments(c, 0, "PATH…")
			if err != nil {
				return err
			}
			if len(c.StringSlice("reveal")) > 0 && len(paths) != 1 {
				return usagef("--reveal names values of one file: name the file too")
			}
			r, files, err := candidates(paths)
			if err != nil {
				return err
			}
			plans, skipped, err := e.plans(r, files, c.StringSlice("reveal"))
			if err != nil {
				return err
			}
			if c.Bool("dry-run") {
				for _, p := range plans {
					e.list("%s: %s", p.path, strings.Join(p.steps(), "; "))
				}
				return skipped
			}
			if len(plans) == 0 && skipped == nil {
				e.say("nothing to do: all files are as the policy wants")
				return nil
			}
			if err := e.carryOut(c, r, plans); err != nil {
				return err
			}
			return skipped
		},
	}
}

// carryOut asks, computes all files, and writes them.
func (e *env) carryOut(c *cli.Context, r *repo, plans []*plan) error {
	if err := e.agree(c, r, plans); err != nil {
		return err
	}
	var changes []change
	var staged []gitx.Replacement
	for _, p := range plans {
		if err := e.compute(p); err != nil {
			return err
		}
		if p.staged == "" {
			changes = append(changes, change{p.path, p.src, p.f.Bytes()})
		} else {
			staged = append(staged, gitx.Replacement{Path: p.staged, Was: p.object, Data: p.f.Bytes()})
		}
	}
	if len(staged) > 0 {
		if err := gitx.Stage(gitRoot(r.root), staged); errors.Is(err, gitx.ErrIndex) {
			return fmt.Errorf("%w: %w; nothing was written", errChanged, err)
		} else if err != nil {
			return err
		}
	}
	if err := e.writeAll(changes); err != nil {
		return err
	}
	for _, p := range plans {
		where := ""
		if p.staged != "" {
			where = "; in git's index: commit it"
		}
		e.say("%s: %s%s", p.path, strings.Join(p.steps(), "; "), where)
	}
	for _, p := range plans {
		if len(p.lose) > 0 {
			e.say("%s has seen these values of %s, change them at their source: %s", names(p.lose), p.path, strings.Join(sealedPaths(p.info.Values), ", "))
		}
	}
	return nil
}

// agree gets a yes to everyone who gains access, and to all that is revealed.
func (e *env) agree(c *cli.Context, r *repo, plans []*plan) error {
	var gains []string
	var gainers []leafseal.Reader
	for _, p := range plans {
		if len(p.gain) > 0 {
			gains = append(gains, fmt.Sprintf("%s (%s): %s", p.path, count(len(sealedPaths(p.info.Values)), "value"), names(p.gain)))
			gainers = append(gainers, byKey(p.gain, gainers)...)
		}
		if len(p.reveal) > 0 {
			gains = append(gains, fmt.Sprintf("%s: everyone, in clear: %s", p.path, strings.Join(p.reveal, ", ")))
		}
	}
	if err := e.trust(r.root, gainers, c.StringSlice("trust")); err != nil || len(gains) == 0 || c.Bool("yes") {
		return err
	}
	err := e.confirm("Who can read more, and what:\n  " + strings.Join(gains, "\n  ") + "\nLet them?")
	if errors.Is(err, errNoTerminal) {
		e.say("who can read more, and what:\n  %s", strings.Join(gains, "\n  "))
		return &leafseal.Error{Err: fmt.Errorf("this lets others read more, and %w", err), Hint: "--yes agrees to it"}
	}
	return err
}
