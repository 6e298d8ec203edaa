package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// What the commands share: their arguments, and how they read, show and write
// files.

func formatFlag() cli.Flag {
	return &cli.StringFlag{Name: "format", Usage: "read the file as `FORMAT` (" + strings.Join(leafseal.Formats(), ", ") + ") whatever its name"}
}

func outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `OUT`, a new file; \"-\" is standard output"},
		&cli.BoolFlag{Name: "force", Usage: "replace what stands in the way"},
	}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}
}

// arguments returns the command's arguments, of which there are names; the
// first least of them must be there. A name that ends in "…" takes all that
// follow. Only one of them, the identities included, may be standard input.
func (e *env) arguments(c *cli.Context, least int, names ...string) ([]string, error) {
	args := c.Args().Slice()
	if len(args) < least {
		return nil, usagef("%s needs %s", c.Command.Name, strings.TrimSuffix(names[len(args)], "…"))
	}
	if len(args) > len(names) && !strings.HasSuffix(strings.Join(names, " "), "…") {
		return nil, usagef("%s has no use for the argument %q", c.Command.Name, args[len(names)])
	}
	stdin := func(s string) bool { return s == "-" }
	all := slices.Concat(e.identityFiles, args)
	if i := slices.IndexFunc(all, stdin); i >= 0 && slices.ContainsFunc(all[i+1:], stdin) {
		return nil, usagef("standard input can be read only once, and \"-\" is named twice")
	}
	return args, nil
}

// change is a file's new content, computed and not yet written.
type change struct {
	path     string
	was, now []byte
}

// writeAll writes what was computed for all files.
func (e *env) writeAll(changes []change) error {
	for i, c := range changes {
		if err := e.write(c.path, c.was, c.now); err != nil {
			if i > 0 {
				e.warn("%d of %d files were written before this failed", i, len(changes))
			}
			return err
		}
	}
	return nil
}

// replaced returns what a write to -o OUT replaces: nil, unless --force.
func replaced(out string, force bool) ([]byte, error) {
	if out == "-" {
		return nil, nil
	}
	was, err := os.ReadFile(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && !force:
		return nil, errExists(out)
	}
	return was, err
}

// replacedInfo is replaced for a file of any size.
func replacedInfo(out string, force bool) (fs.FileInfo, error) {
	if out == "-" {
		return nil, nil
	}
	was, err := os.Stat(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && !force:
		return nil, errExists(out)
	}
	return was, err
}

func errExists(out string) error {
	return &leafseal.Error{File: out, Err: errors.New("there is such a file already"), Hint: "--force replaces it"}
}

// emit writes plaintext to standard output, but no control characters to a
// terminal.
func (e *env) emit(data []byte) error {
	control := func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r)
	}
	if isTerminal(e.stdout) && strings.ContainsFunc(string(data), control) {
		return &leafseal.Error{Err: errors.New("this holds control characters, which are not shown on a terminal"), Hint: "send it to a file, or through cat -v"}
	}
	_, err := e.stdout.Write(data)
	return err
}

// list prints a line of a listing.
func (e *env) list(format string, args ...any) {
	fmt.Fprintln(e.stdout, printable(fmt.Sprintf(format, args...)))
}

func (e *env) listJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// jsonReader is a reader as listings have it.
type jsonReader struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

func jsonReaders(readers []leafseal.Reader) []jsonReader {
	list := []jsonReader{}
	for _, r := range readers {
		list = append(list, jsonReader{r.Name, r.Key})
	}
	return list
}

// names lists readers for a person: each name once, the key where there is
// none.
func names(readers []leafseal.Reader) string {
	var list []string
	for _, r := range readers {
		name := r.Name
		if name == "" {
			name = r.Key[:min(len(r.Key), 20)] + "…"
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// sealedPaths are the values of a file that only its readers see.
func sealedPaths(values []leafseal.Value) []string {
	var paths []string
	for _, v := range values {
		if v.Sealed {
			paths = append(paths, v.Path)
		}
	}
	return paths
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// gitRoot is the root of the git work tree around a folder, or "".
func gitRoot(dir string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return ""
}
