package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func verifyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "check every token at its place, and the seal",
		UsageText: "leafseal verify [FLAG…] FILE…",
		Description: `Needs a key that opens the files. All files are checked; the exit code is
that of the worst: 5 tampered, 4 no identity opens it, 3 not a leafseal file.

leafseal verify config/*.yaml`,
		ArgsUsage: "FILE…",
		Flags:     []cli.Flag{jsonFlag(), formatFlag()},
		Action: func(c *cli.Context) error {
			files, err := e.arguments(c, 1, "FILE…")
			if err != nil {
				return err
			}
			var worst error
			list := []verified{}
			for _, path := range files {
				v, err := e.verify(path, c.String("format"))
				if list = append(list, v); err != nil {
					e.report(err)
					if worst == nil || exitCode(err) > exitCode(worst) {
						worst = err
					}
				}
			}
			if c.Bool("json") {
				err = e.listJSON(list)
			}
			if worst != nil {
				return fmt.Errorf("%w: %w", errFindings, worst)
			}
			return err
		},
	}
}

// verified is the outcome for one file.
type verified struct {
	File    string       `json:"file"`
	Intact  bool         `json:"intact"`
	Values  int          `json:"values"`
	Readers []jsonReader `json:"readers"`
	Error   string       `json:"error,omitempty"`
}

func (e *env) verify(path, format string) (verified, error) {
	v := verified{File: path, Readers: []jsonReader{}}
	f, err := e.open(path, format)
	if err != nil {
		v.Error = err.Error()
		return v, err
	}
	values, err := f.Values()
	if err != nil {
		return v, err
	}
	v.Intact, v.Values, v.Readers = true, len(sealedPaths(values)), jsonReaders(f.Readers())
	e.say("%s: intact, %s, readable by %s", path, count(v.Values, "sealed value"), names(f.Readers()))
	return v, nil
}
