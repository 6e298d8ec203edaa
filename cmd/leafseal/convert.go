package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/deliver"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func convertCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a file in another format, if that holds the same data",
		UsageText: "leafseal convert FILE --to-format FORMAT -o OUT",
		Description: `The new file has the same data, with types and order, and the same comments; it
is sealed to the same readers with a new data key, and what was sealed is
sealed. What the other format cannot hold, or readers would take for something
else (dates, anchors, tags, keys that are no texts, octal numbers; in INI also
quotes, escapes, ; # and % in texts), is named, and nothing is written. FILE
stays as it is.

leafseal convert config/prod.json --to-format yaml -o config/prod.yaml
leafseal convert config/prod.yaml -o config/prod.toml
leafseal convert .env -o env.json --drop-comments`,
		ArgsUsage: "FILE",
		Flags: append(outputFlags(), formatFlag(),
			&cli.StringFlag{Name: "to-format", Usage: "write `FORMAT`: " + strings.Join(deliver.Convertible, ", ") + " (default: what the name of OUT tells)"},
			&cli.BoolFlag{Name: "drop-comments", Usage: "where the other format has no comments, go without"},
			&cli.BoolFlag{Name: "plain", Usage: "FILE is plain text, and so will OUT be"}),
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "FILE")
			if err != nil {
				return err
			}
			out, to := c.String("output"), c.String("to-format")
			if out == "" {
				out = "-"
			}
			if to == "" && out != "-" {
				to = leafseal.FormatOf(out)
			}
			if !slices.Contains(deliver.Convertible, to) {
				return usagef("--to-format can be %s", strings.Join(deliver.Convertible, ", "))
			}
			was, err := replaced(out, c.Bool("force"))
			if err != nil {
				return err
			}
			data, err := e.convert(c, args[0], out, to)
			if err != nil {
				return err
			}
			if err := e.write(out, was, data); err != nil {
				return err
			}
			if out != "-" && leafseal.FormatOf(out) != to {
				e.say("the name of %s does not tell its format: say --format %s", out, to)
			}
			return nil
		},
	}
}

// convert returns the new file: of a sealed one always a sealed one.
func (e *env) convert(c *cli.Context, path, out, to string) ([]byte, error) {
	if c.Bool("plain") {
		return e.convertPlain(c, path, to)
	}
	f, err := e.open(path, c.String("format"))
	if errors.Is(err, leafseal.ErrNotEncrypted) {
		return nil, &leafseal.Error{File: path, Err: leafseal.ErrNotEncrypted, Hint: "--plain converts plain text to plain text"}
	}
	if err != nil {
		return nil, err
	}
	plain, err := e.converted(f.Format(), to, path, f.Plaintext(), c.Bool("drop-comments"))
	if err != nil {
		return nil, err
	}
	made, err := e.sealLike(f, path, out, to, plain)
	if err != nil {
		return nil, err
	}
	e.say("%s: %s sealed, readable by %s", out, count(made.Sealed(), "value"), names(made.Readers()))
	return made.Bytes(), nil
}

func (e *env) convertPlain(c *cli.Context, path, to string) ([]byte, error) {
	src, err := e.read(path)
	if err != nil {
		return nil, err
	}
	o := leafseal.Options{Name: path, Format: c.String("format")}
	if _, err := leafseal.Inspect(src, o); !errors.Is(err, leafseal.ErrNotEncrypted) {
		if err == nil {
			err = &leafseal.Error{File: path, Err: leafseal.ErrEncrypted, Hint: "without --plain the new file is sealed, too"}
		}
		return nil, err
	}
	from := o.Format
	if from == "" {
		from = leafseal.FormatOf(path)
	}
	return e.converted(from, to, path, src, c.Bool("drop-comments"))
}

// converted is a plain text in another format, or names all that stands in the
// way.
func (e *env) converted(from, to, path string, plain []byte, dropComments bool) ([]byte, error) {
	if from == to {
		return nil, usagef("%s is %s already", path, to)
	}
	out, lost, err := deliver.Convert(from, to, plain, dropComments)
	if err != nil {
		return nil, &leafseal.Error{File: path, Err: err}
	}
	if len(lost) == 0 {
		return out, nil
	}
	const most = 20
	for i, l := range lost {
		if i == most {
			fmt.Fprintf(e.stderr, "leafseal: … and %d more\n", len(lost)-most)
			break
		}
		e.report(&leafseal.Error{File: path, Line: l.Line, Column: 1, Key: l.Key, Err: errors.New(l.Why)})
	}
	at := &leafseal.Error{File: path, Err: fmt.Errorf("as %s it would not be the same; nothing was written", to)}
	if slices.ContainsFunc(lost, func(l deliver.Loss) bool { return strings.HasPrefix(l.Why, "a comment") }) {
		at.Hint = "--drop-comments goes without comments"
	}
	return nil, at
}

// sealLike seals a text to the readers of a file and by its rule: at first all
// of it, and then what was in clear is shown again where the rule agrees.
func (e *env) sealLike(f *leafseal.File, path, out, to string, plain []byte) (*leafseal.File, error) {
	readers, err := e.withRecipients(f.Readers())
	if err != nil {
		return nil, err
	}
	rule := f.Rule()
	made, err := leafseal.New(leafseal.Options{Name: out, Format: to, Readers: readers, Rule: leafseal.Rule{Whole: rule.Whole}})
	if err != nil {
		return nil, err
	}
	if err := made.Edit(plain); err != nil {
		return nil, err
	}
	was, err := leafseal.Inspect(f.Bytes(), leafseal.Options{Name: path, Format: f.Format()})
	if err != nil {
		return nil, err
	}
	sealed := map[string]bool{} // by path
	for _, v := range was.Values {
		sealed[v.Path] = sealed[v.Path] || v.Sealed
	}
	var reveal []string
	for path, secret := range sealed {
		if !secret {
			reveal = append(reveal, path)
		}
	}
	if rule.KeepComments && !was.SealedComments && !deliver.CommentsInValues(f.Format(), f.Plaintext()) {
		reveal = append(reveal, leafseal.AllComments)
	}
	if err := made.SetRule(rule, reveal...); err != nil {
		return nil, err
	}
	now, err := made.Values()
	if err != nil {
		return nil, err
	}
	for _, v := range now {
		if sealed[v.Path] && !v.Sealed {
			return nil, &leafseal.Error{File: path, Key: v.Path, Err: errors.New("sealed before, and would be in clear: nothing was written")}
		}
		delete(sealed, v.Path)
	}
	for path, secret := range sealed {
		if secret {
			return nil, &leafseal.Error{File: out, Key: path, Err: errors.New("it has no such value any more: nothing was written")}
		}
	}
	return made, nil
}
