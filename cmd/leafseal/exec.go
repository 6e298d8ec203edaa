package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/deliver"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func execCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a program with the values in its environment",
		UsageText: "leafseal exec [FLAG…] FILE… -- COMMAND [ARGUMENT…]",
		Description: `The value at db.password becomes the variable DB_PASSWORD; names of dotenv
files stay as they are. The program does not start unless every file verifies.
It gets its arguments as they stand, without a shell, and its exit code is
leafseal's: 126 if it cannot be run, 127 if there is none.

leafseal exec config/prod.yaml -- ./server --port 8080
leafseal exec .env -- sh -c 'echo "$DB_HOST"'`,
		ArgsUsage: "FILE… -- COMMAND",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "allow", Usage: "set `NAME` though it could make programs run other code, such as PATH or LD_PRELOAD"},
			formatFlag(),
		},
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			dash := slices.Index(args, "--")
			if dash < 1 || dash+1 == len(args) {
				return usagef("exec needs FILE… -- COMMAND")
			}
			files, argv := args[:dash], args[dash+1:]
			if slices.Contains(files, "-") {
				return usagef("exec cannot read a file from standard input, which is the program's")
			}
			vars, err := e.variables(c, files)
			if err != nil {
				return err
			}
			path, err := exec.LookPath(argv[0])
			if err == nil {
				err = execute(e, path, argv, withVariables(withoutKeys(e.environ), vars))
			}
			return cannotRun(e, argv[0], err)
		},
	}
}

// withVariables sets variables in an environment, over those it has.
func withVariables(environ []string, vars []deliver.Variable) []string {
	set := make(map[string]bool)
	for _, v := range vars {
		set[v.Name] = true
	}
	environ = slices.DeleteFunc(environ, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return set[name]
	})
	for _, v := range vars {
		environ = append(environ, v.Name+"="+v.Text)
	}
	return environ
}

// cannotRun tells why a program did not start, with the exit code that a
// shell would give.
func cannotRun(e *env, name string, err error) error {
	var child childExit
	switch {
	case err == nil || errors.As(err, &child):
		return err
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		e.report(fmt.Errorf("%s: there is no such program", name))
		return childExit(127)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	e.report(fmt.Errorf("%s cannot be run: %w", name, err))
	return childExit(126)
}

// variables opens all files and returns their values as variables.
func (e *env) variables(c *cli.Context, files []string) ([]deliver.Variable, error) {
	var all []deliver.Variable
	from := make(map[string]string)
	for _, path := range files {
		f, err := e.open(path, c.String("format"))
		if err != nil {
			return nil, err
		}
		vars, err := deliver.Environ(f.Format(), f.Plaintext())
		if err != nil {
			return nil, &leafseal.Error{File: path, Err: err}
		}
		for _, v := range vars {
			if other, taken := from[v.Name]; taken {
				return nil, &leafseal.Error{File: path, Key: v.From, Err: fmt.Errorf("the variable %s comes from %s too", v.Name, other)}
			}
			if deliver.Hijacks(v.Name) && !slices.Contains(c.StringSlice("allow"), v.Name) {
				return nil, &leafseal.Error{File: path, Key: v.From, Err: fmt.Errorf("the variable %s could make programs run other code", v.Name), Hint: "--allow " + v.Name + " sets it all the same"}
			}
			from[v.Name] = path
		}
		all = append(all, vars...)
	}
	return all, nil
}
