package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// foreignTool is another tool whose files import reads.
type foreignTool struct {
	name  string
	wrote func(path string, src []byte) bool // quick; open decides
	not   error                              // said of a file that it did not write
	open  func(path string, src []byte) (*migrate.Document, error)
}

// foreignTools are the tools that a command line asks for, or all, in the
// order in which they are asked whether a file is theirs. Keys are looked for
// when a file needs them.
func (e *env) foreignTools(c *cli.Context) ([]foreignTool, error) {
	key := c.String("key")
	all := []foreignTool{e.gitCryptTool(key), e.sopsTool(c.String("input")), e.ansibleTool(key), e.dotenvxTool(key)}
	from := c.String("from")
	if from == "" && (c.IsSet("tree") || c.IsSet("input")) {
		from = "sops"
	}
	if from == "" {
		return all, nil
	}
	var names []string
	for _, t := range all {
		names = append(names, t.name)
		if t.name != from {
			continue
		}
		switch {
		case from != "sops" && c.IsSet("input"):
			return nil, usagef("--input is for files of sops")
		case from == "sops" && c.IsSet("key"):
			return nil, usagef("--key is for other tools; for sops it is --identity")
		}
		return []foreignTool{t}, nil
	}
	return nil, usagef("--from is one of %s", strings.Join(names, ", "))
}

// openForeign opens a file with the one of the tools that wrote it.
func (e *env) openForeign(path string, src []byte, tools []foreignTool) (*imported, error) {
	if _, err := leafseal.Inspect(src, leafseal.Options{Name: path}); err == nil {
		return nil, &leafseal.Error{File: path, Err: leafseal.ErrEncrypted, Hint: "it is leafseal's: there is nothing to import"}
	}
	var names []string
	for _, t := range tools {
		if t.wrote(path, src) {
			doc, err := t.open(path, src)
			if err != nil {
				return nil, foreignError(path, err)
			}
			return &imported{path: path, from: t.name, src: src, doc: doc}, nil
		}
		names = append(names, t.name)
	}
	not := tools[0].not
	if len(tools) > 1 {
		not = fmt.Errorf("none of %s encrypted it", strings.Join(names, ", "))
	}
	return nil, &leafseal.Error{File: path, Err: not, Hint: "leafseal encrypt seals plain text"}
}

// wroteForeign names the tool that encrypted a file, or something in it.
func (e *env) wroteForeign(path string, src []byte) string {
	for _, t := range []foreignTool{e.gitCryptTool(""), e.sopsTool(""), e.ansibleTool(""), e.dotenvxTool("")} {
		if t.wrote(path, src) {
			return t.name
		}
	}
	return ""
}

// foreignKey reads another tool's key from a file.
func foreignKey[T any](e *env, path string, parse func(src []byte) (T, error)) (key T, err error) {
	src, err := e.read(path)
	if err != nil {
		return key, err
	}
	if key, err = parse(src); err != nil {
		return key, foreignError(path, err)
	}
	return key, nil
}

// progress shows how far a long run is: on a terminal that takes escapes, and
// only after a second; n of 0 ends it.
func (e *env) progress(what string, i, n int) {
	if e.quiet || !isTerminal(e.stderr) || e.getenv("TERM") == "dumb" || e.getenv("NO_COLOR") != "" {
		return
	}
	now := e.now()
	switch {
	case e.began.IsZero():
		e.began = now
	case n == 0 && e.shown:
		fmt.Fprint(e.stderr, "\r\x1b[K")
		e.shown = false
	case n > 0 && now.Sub(e.began) >= time.Second && now.Sub(e.drawn) >= 50*time.Millisecond:
		fmt.Fprintf(e.stderr, "\rleafseal: %s %d of %d\x1b[K", what, i+1, n)
		e.shown, e.drawn = true, now
	}
}
