package main

import (
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func resealCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "reseal",
		Usage:     "accept a file that was changed from outside, on purpose",
		UsageText: "leafseal reseal [FLAG…] FILE",
		Description: `Opens every token wherever it stands now, and seals the file again as it is.
This gives up the protection against tokens moved under other keys: it lists
what it opened and asks on the terminal, and nothing else can say yes.

leafseal reseal config/prod.yaml`,
		ArgsUsage: "FILE",
		Flags:     []cli.Flag{formatFlag()},
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "FILE")
			if err != nil {
				return err
			}
			path, o := args[0], leafseal.Options{Name: args[0], Format: c.String("format")}
			if path == "-" {
				return usagef("reseal needs a file that it can replace")
			}
			src, err := e.read(path)
			if err != nil {
				return err
			}
			ids, err := e.identities()
			if err != nil {
				return err
			}
			if _, err := leafseal.Open(src, o, ids...); err == nil {
				e.say("%s: intact, there is nothing to reseal", path)
				return nil
			}
			f, opened, err := leafseal.Reseal(src, o, ids...)
			if err != nil {
				return err
			}
			question := path + " was changed from outside. These values are sealed where they stand now:\n  " +
				strings.Join(opened, "\n  ") + "\nIs each of them where it belongs?"
			if err := e.confirm(question); errors.Is(err, errNoTerminal) {
				return &leafseal.Error{File: path, Err: err, Hint: "reseal takes a person's word only: run it on a terminal"}
			} else if err != nil {
				return err
			}
			if err := e.write(path, src, f.Bytes()); err != nil {
				return err
			}
			e.say("%s: sealed again as it stands; look at it with git diff before you commit", path)
			return nil
		},
	}
}
