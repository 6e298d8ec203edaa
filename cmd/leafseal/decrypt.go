package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func decryptCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "decrypt",
		Usage:     "print files in plain text",
		UsageText: "leafseal decrypt [FLAG…] FILE…",
		Description: `Every byte of every file is verified before the first one is released; but of
an opaque file on a pipe the end is verified last: after exit code 5 throw away
what came out.
To change a file, leafseal edit leaves no plain text behind.

leafseal decrypt config/prod.yaml | yq .db.host
leafseal decrypt -o /run/app/config.yaml config/prod.yaml`,
		ArgsUsage: "FILE…",
		Flags: append(outputFlags(), formatFlag(),
			&cli.BoolFlag{Name: "in-place", Usage: "replace the encrypted file by its plain text"}),
		Action: func(c *cli.Context) error {
			files, err := e.arguments(c, 1, "FILE…")
			if err != nil {
				return err
			}
			out, inPlace := c.String("output"), c.Bool("in-place")
			if c.IsSet("output") && (inPlace || out == "" || len(files) > 1) {
				return usagef("--output is for one FILE, and not with --in-place")
			}
			if len(files) == 1 && !inPlace {
				if done, err := e.decryptOpaque(c, files[0]); done || err != nil {
					return err
				}
			}
			var changes []change
			var all []byte
			for _, path := range files {
				if inPlace && !c.Bool("force") {
					if err := refusePlain(path); err != nil {
						return err
					}
				}
				f, err := e.open(path, c.String("format"))
				if err != nil {
					return err
				}
				changes = append(changes, change{path, f.Bytes(), f.Plaintext()})
				all = append(all, f.Plaintext()...)
			}
			switch {
			case out != "" && out != "-":
				was, err := replaced(out, c.Bool("force"))
				if err != nil {
					return err
				}
				return e.write(out, was, all)
			case !inPlace:
				return e.emit(all)
			}
			if err := e.writeAll(changes); err != nil {
				return err
			}
			for _, path := range files {
				e.say("%s is plain text now; leafseal encrypt seals it again", path)
			}
			return nil
		},
	}
}

// refusePlain keeps plain text out of a work tree where git would pick it up.
func refusePlain(path string) error {
	r, err := ruleFor(path)
	if err != nil || gitRoot(r.repo.root) == "" {
		return nil // no rule for it, or no git
	}
	return &leafseal.Error{File: path, Err: fmt.Errorf("%w: %w", leafseal.ErrPolicy, errors.New("git would see the plain text of a file that the policy keeps sealed")),
		Hint: "leafseal edit changes it in memory; --force decrypts it here all the same"}
}
