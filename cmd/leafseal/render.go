package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/deliver"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func renderCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "render",
		Usage:     "print the values in another notation",
		UsageText: "leafseal render FILE --as env|json|shell",
		Description: `env is NAME='value' lines, shell the same as export commands, both with the
names that leafseal exec gives; json is the whole document. Anchors and merge
keys of YAML are resolved.

leafseal render config/prod.yaml --as env -o /run/app/env
eval "$(leafseal render config/prod.yaml --as shell)"`,
		ArgsUsage: "FILE",
		Flags: append(outputFlags(), formatFlag(),
			&cli.StringFlag{Name: "as", Usage: "`NOTATION`: " + strings.Join(deliver.Notations, ", ")}),
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "FILE")
			if err != nil {
				return err
			}
			as, out := c.String("as"), c.String("output")
			if !slices.Contains(deliver.Notations, as) {
				return usagef("--as can be %s", strings.Join(deliver.Notations, ", "))
			}
			if c.IsSet("output") && out == "" {
				return usagef("--output needs a file name")
			}
			f, err := e.open(args[0], c.String("format"))
			if err != nil {
				return err
			}
			text, err := deliver.Render(as, f.Format(), f.Plaintext())
			if err != nil {
				return &leafseal.Error{File: args[0], Err: err}
			}
			if out == "" || out == "-" {
				return e.emit(text)
			}
			was, err := replaced(out, c.Bool("force"))
			if err != nil {
				return err
			}
			return e.write(out, was, text)
		},
	}
}
