package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func encryptCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "encrypt",
		Usage:     "seal the values of files, in place",
		UsageText: "leafseal encrypt [FLAG…] FILE…",
		Description: `Who can read a file, and what of it is sealed, is what the rule in
.leafseal.yaml says; --to names the readers of a file that no rule is for.
All files are encrypted before the first one is written.

leafseal encrypt config/prod.yaml
leafseal encrypt --to age1… --format yaml - < plain.yaml > sealed.yaml`,
		ArgsUsage: "FILE…",
		Flags: append(outputFlags(), formatFlag(), opaqueFlag(), trustFlag(),
			&cli.StringSliceFlag{Name: "to", Usage: "encrypt to `[NAME=]KEY`, a public key or a file that holds one, and not to the policy's readers"},
			&cli.StringFlag{Name: "only", Usage: "with --to: seal only values whose path matches `REGEX`"},
			&cli.StringFlag{Name: "except", Usage: "with --to: do not seal values whose path matches `REGEX`"},
			&cli.StringFlag{Name: "comments", Usage: "with --to: `keep` leaves comments in clear"},
			&cli.StringFlag{Name: "seal", Usage: "with --to: `whole` forbids any mixing of versions, and with it merging"}),
		Action: func(c *cli.Context) error {
			files, err := e.arguments(c, 1, "FILE…")
			if err != nil {
				return err
			}
			if c.IsSet("output") && len(files) > 1 {
				return usagef("--output is for one FILE")
			}
			if c.Bool("opaque") || c.String("format") == "opaque" {
				for _, path := range files {
					if err := e.encryptOpaque(c, path); err != nil {
						return err
					}
				}
				return nil
			}
			var changes []change
			var report []string
			for _, path := range files {
				ch, f, err := e.encrypt(c, path)
				if err != nil {
					return err
				}
				if f == nil {
					e.say("%s: empty, and stays so: there is nothing to seal", path)
					if ch.path != path && ch.path != "" {
						changes, report = append(changes, ch), append(report, ch.path+": empty")
					}
					continue
				}
				changes = append(changes, ch)
				report = append(report, fmt.Sprintf("%s: %s sealed, readable by %s", ch.path, count(f.Sealed(), "value"), names(f.Readers())))
			}
			if err := e.writeAll(changes); err != nil {
				return err
			}
			for i, line := range report {
				e.say("%s", line)
				e.warnHistory(changes[i].path)
			}
			return nil
		},
	}
}

// encrypt computes one file; of an empty one there is none.
func (e *env) encrypt(c *cli.Context, path string) (ch change, f *leafseal.File, err error) {
	o, root, err := e.wanted(c, path)
	if err != nil {
		return ch, nil, err
	}
	src, err := e.read(path)
	if err != nil {
		return ch, nil, err
	}
	ch = change{path: path, was: src}
	if out := c.String("output"); out != "" {
		ch.path = out
		if ch.was, err = replaced(out, c.Bool("force")); err != nil {
			return ch, nil, err
		}
	}
	if len(src) == 0 {
		return ch, nil, nil
	}
	if _, err := leafseal.Inspect(src, o); err == nil {
		return ch, nil, &leafseal.Error{File: path, Err: leafseal.ErrEncrypted, Hint: "leafseal edit changes it, leafseal apply gives it other readers"}
	}
	if tool := e.wroteForeign(path, src); tool != "" { // what else is in it may be plain
		e.warn("%s holds what %s encrypted: this encrypts it once more; leafseal import would take it over", path, tool)
	}
	if root != "" {
		if err := e.trust(root, o.Readers, c.StringSlice("trust")); err != nil {
			return ch, nil, err
		}
	}
	if o.Readers, err = e.withRecipients(o.Readers); err != nil {
		return ch, nil, err
	}
	if f, err = leafseal.New(o); err != nil {
		return ch, nil, err
	}
	err = f.Edit(src)
	if at := new(leafseal.Error); errors.Is(err, leafseal.ErrUnsupported) && errors.As(err, &at) && at.Hint == "" {
		at.Hint = "if it is meant to be so, as a template is: --opaque encrypts any file as a whole"
	}
	ch.now = f.Bytes()
	return ch, f, err
}

// wanted is how a file is to be encrypted: as --to and its flags say, or as
// the policy in root says.
func (e *env) wanted(c *cli.Context, path string) (o leafseal.Options, root string, err error) {
	o = leafseal.Options{Name: path, Format: c.String("format")}
	if to := c.StringSlice("to"); len(to) > 0 {
		o.Readers, err = readersTo(to)
		if err != nil {
			return o, "", err
		}
		o.Rule, err = ruleFlags(c)
		return o, "", err
	}
	for _, name := range []string{"only", "except", "comments", "seal"} {
		if c.IsSet(name) {
			return o, "", usagef("--%s goes with --to; without it the rule in %s decides", name, leafseal.PolicyFile)
		}
	}
	place := path
	if out := c.String("output"); out != "" && out != "-" {
		place = out
	}
	if place == "-" {
		return o, "", usagef("standard input has no name for a rule to match: say --to and --format")
	}
	if path != "-" { // no rule is for a mistyped name, either
		if _, err := os.Stat(path); err != nil {
			return o, "", err
		}
	}
	r, err := ruleFor(place)
	if err != nil {
		return o, "", err
	}
	o.Readers, o.Rule = r.readers, r.Rule
	return o, r.repo.root, nil
}

func ruleFlags(c *cli.Context) (leafseal.Rule, error) {
	r := leafseal.Rule{Only: c.String("only"), Except: c.String("except")}
	for _, f := range []struct {
		name, word string
		to         *bool
	}{{"comments", "keep", &r.KeepComments}, {"seal", "whole", &r.Whole}} {
		if *f.to = c.String(f.name) == f.word; !*f.to && c.IsSet(f.name) {
			return r, usagef("--%s can only be %q", f.name, f.word)
		}
	}
	return r, nil
}

// warnHistory tells what encryption cannot mend.
func (e *env) warnHistory(path string) {
	if path == "-" {
		return
	}
	if _, err := git(filepath.Dir(path), "ls-files", "--error-unmatch", "--", filepath.Base(path)); err == nil {
		e.warn("%s was in git before: its history keeps the plain text, so change the values at their source", path)
	}
}
