package main

import (
	"encoding/json"

	"github.com/urfave/cli/v2"
)

func getCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "get",
		Usage:     "print one value, as a program would see it",
		UsageText: "leafseal get [FLAG…] FILE PATH\nleafseal get --keys FILE",
		Description: `PATH is written like db.password, servers[0].host, "a.b".c, or @1.key for
the second document of a YAML stream. A line break follows the value unless
-n is given.

leafseal get config/prod.yaml db.password
PGPASSWORD=$(leafseal get config/prod.yaml db.password) psql`,
		ArgsUsage: "FILE PATH",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-newline", Aliases: []string{"n"}, Usage: "print the value's bytes and nothing else"},
			&cli.BoolFlag{Name: "keys", Usage: "list the paths of all values instead"},
			jsonFlag(), formatFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Bool("keys") {
				return e.listKeys(c)
			}
			args, err := e.arguments(c, 2, "FILE", "PATH (leafseal get --keys FILE lists them; leafseal decrypt FILE prints all)")
			if err != nil {
				return err
			}
			f, err := e.open(args[0], c.String("format"))
			if err != nil {
				return err
			}
			text, err := f.Get(args[1])
			if err != nil {
				return err
			}
			data := []byte(text)
			if c.Bool("json") {
				if data, err = json.Marshal(text); err != nil {
					return err
				}
			}
			if !c.Bool("no-newline") {
				data = append(data, '\n')
			}
			return e.emit(data)
		},
	}
}

func (e *env) listKeys(c *cli.Context) error {
	args, err := e.arguments(c, 1, "FILE")
	if err != nil {
		return err
	}
	f, err := e.open(args[0], c.String("format"))
	if err != nil {
		return err
	}
	values, err := f.Values()
	if err != nil {
		return err
	}
	paths := []string{}
	for _, v := range values {
		paths = append(paths, v.Path)
	}
	if c.Bool("json") {
		return e.listJSON(paths)
	}
	for _, p := range paths {
		e.list("%s", p)
	}
	return nil
}
