package main

import (
	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func rotateCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "rotate",
		Usage:     "give files a new data key",
		UsageText: "leafseal rotate [FLAG…] FILE…\nleafseal rotate [FLAG…] --all",
		Description: `Readers stay the same. Afterwards no part of an older version can be put back
into a file. What former readers have seen, they have seen: such values must
be changed at their source.

leafseal rotate config/prod.yaml`,
		ArgsUsage: "FILE…",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "every encrypted file that a rule of the policy matches"},
			formatFlag(),
		},
		Action: func(c *cli.Context) error {
			files, err := e.arguments(c, 0, "FILE…")
			if err != nil {
				return err
			}
			if c.Bool("all") == (len(files) > 0) {
				return usagef("rotate needs FILE… or --all")
			}
			if c.Bool("all") {
				_, all, err := candidates(nil)
				if err != nil {
					return err
				}
				for _, f := range all {
					switch {
					case f.rule == nil || f.info == nil:
					case f.staged != "":
						e.warn("%s is left as it is, as it is plain text here: leafseal lock, leafseal rotate %s, git add it, leafseal unlock", f.path, f.path)
					default:
						files = append(files, f.path)
					}
				}
			}
			var changes []change
			for _, path := range files {
				ch, err := e.rotate(path, c.String("format"))
				if err != nil {
					return err
				}
				changes = append(changes, ch)
			}
			if err := e.writeAll(changes); err != nil {
				return err
			}
			for _, path := range files {
				e.say("%s: has a new data key", path)
			}
			e.say("%s rotated; values that former readers saw must be changed at their source", count(len(files), "file"))
			return nil
		},
	}
}

func (e *env) rotate(path, format string) (change, error) {
	f, err := e.open(path, format)
	if err != nil {
		return change{}, err
	}
	was := f.Bytes()
	if err := f.Rotate(); err != nil {
		return change{}, &leafseal.Error{File: path, Err: err}
	}
	return change{path, was, f.Bytes()}, nil
}
