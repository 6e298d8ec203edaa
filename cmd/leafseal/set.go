package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func setCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "change or add one value",
		UsageText: "leafseal set [FLAG…] FILE PATH [VALUE]",
		Description: `Without VALUE it is asked for on the terminal, unseen. With - it is read
from standard input, and one line break at its end is dropped unless
--verbatim is given. A VALUE on the command line stays in the shell's
history. Only the line of the value changes in the file.

leafseal set config/prod.yaml db.password
openssl rand -hex 32 | leafseal set config/prod.yaml session.key -`,
		ArgsUsage: "FILE PATH [VALUE]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "verbatim", Usage: "keep a line break at the end of standard input"},
			formatFlag(), trustFlag(),
		},
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 2, "FILE", "PATH", "VALUE")
			if err != nil {
				return err
			}
			f, was, err := e.openOrNew(c, args[0])
			if err != nil {
				return err
			}
			before := clearValues(f)
			value, err := e.value(c, args)
			if err != nil {
				return err
			}
			if err := f.Set(args[1], value); err != nil {
				return err
			}
			if err := e.save(args[0], was, f); err != nil {
				return err
			}
			for path, text := range clearValues(f) {
				if old, ok := before[path]; !ok || old != text {
					e.warn("%s: %s stands in clear, the file's rule does not seal it", args[0], path)
				}
			}
			return nil
		},
	}
}

// openOrNew opens a file; if there is none, but a rule for it, it begins one.
func (e *env) openOrNew(c *cli.Context, path string) (f *leafseal.File, was []byte, err error) {
	if path != "-" {
		if _, err = os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			f, err := e.begin(path, c.String("format"), c.StringSlice("trust"))
			return f, nil, err
		}
	}
	if f, err = e.open(path, c.String("format")); err != nil {
		return nil, nil, err
	}
	return f, f.Bytes(), nil
}

// begin makes a file without content, as its rule says.
func (e *env) begin(path, format string, trust []string) (*leafseal.File, error) {
	r, err := ruleFor(path)
	if err != nil {
		return nil, fmt.Errorf("there is no file %s, and to make it: %w", path, err)
	}
	if err := e.trust(r.repo.root, r.readers, trust); err != nil {
		return nil, err
	}
	readers, err := e.withRecipients(r.readers)
	if err != nil {
		return nil, err
	}
	f, err := leafseal.New(leafseal.Options{Name: path, Format: format, Readers: readers, Rule: r.Rule})
	if err == nil && strings.HasPrefix(f.Format(), "json") { // which needs a root
		err = f.Edit([]byte("{}\n"))
	}
	return f, err
}

// save writes a changed file, or says that it is unchanged.
func (e *env) save(path string, was []byte, f *leafseal.File) error {
	if path != "-" && was != nil && bytes.Equal(was, f.Bytes()) {
		e.say("%s: unchanged", path)
		return nil
	}
	if path != "-" && was == nil { // its folder may be as new
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
	}
	if err := e.write(path, was, f.Bytes()); err != nil {
		return err
	}
	if path != "-" && was == nil {
		e.say("%s: a new file, readable by %s", path, names(f.Readers()))
	}
	return nil
}

// value is the VALUE of set: an argument, standard input, or an answer.
func (e *env) value(c *cli.Context, args []string) (string, error) {
	if len(args) == 2 {
		value, err := e.ask("value of "+args[1]+":", true)
		if errors.Is(err, errNoTerminal) {
			return "", &leafseal.Error{File: args[0], Key: args[1], Err: err, Hint: "give the value on standard input: leafseal set FILE PATH - < value"}
		}
		if err == nil && value == "" {
			err = fmt.Errorf("%w: nothing was typed", errCancelled)
		}
		return value, err
	}
	if args[2] != "-" {
		e.warn("a value on the command line stays in the shell's history; leafseal set FILE PATH asks for it, or reads - from standard input")
		return args[2], nil
	}
	data, err := io.ReadAll(e.stdin)
	value := string(data)
	if !c.Bool("verbatim") {
		value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	}
	return value, err
}

// clearValues are the values that a file's rule leaves in clear.
func clearValues(f *leafseal.File) map[string]string {
	clear := map[string]string{}
	values, _ := f.Values() // a new file has none
	for _, v := range values {
		if !v.Sealed {
			clear[v.Path] = v.Text
		}
	}
	return clear
}
