package main

import "github.com/urfave/cli/v2"

func unsetCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "unset",
		Usage:     "remove one value, with its key and its line",
		UsageText: "leafseal unset [FLAG…] FILE PATH",
		Description: `PATH may name a map or an element of a list too; leafseal get -h says how it
is written.

leafseal unset config/prod.yaml db.old_password`,
		ArgsUsage: "FILE PATH",
		Flags:     []cli.Flag{formatFlag()},
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 2, "FILE", "PATH")
			if err != nil {
				return err
			}
			f, err := e.open(args[0], c.String("format"))
			if err != nil {
				return err
			}
			was := f.Bytes()
			if err := f.Unset(args[1]); err != nil {
				return err
			}
			return e.save(args[0], was, f)
		},
	}
}
