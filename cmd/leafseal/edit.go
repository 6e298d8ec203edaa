package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/internal/private"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func editCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "edit",
		Usage:     "open a new or existing file in your editor, in memory only",
		UsageText: "leafseal edit [FLAG…] FILE",
		Description: `Runs $VISUAL or $EDITOR on a copy in a private folder that is held in memory,
and seals what comes back. Without a change the file is not touched. If the
result cannot be sealed, the editor opens again.

On Linux the copy is where only the editor sees it. Its swap, backups, history
and whatever else it writes are gone when it ends: your own folders are covered
by memory, all other files are read-only to it. Editors that open a window of a
running program, such as code --wait, cannot be shut in like that.

leafseal edit config/prod.yaml
EDITOR="code --wait" leafseal edit config/prod.yaml`,
		ArgsUsage: "FILE",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "visible", Usage: "let your other programs see the copy: for an editor that is one of them, such as emacsclient"},
			&cli.BoolFlag{Name: "allow-disk", Usage: "where no folder is held in memory, let the plain text touch the disk"},
			formatFlag(), trustFlag(),
		},
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "FILE")
			if err != nil {
				return err
			}
			path := args[0]
			if path == "-" {
				return usagef("edit needs a file that it can replace")
			}
			f, was, err := e.openOrNew(c, path)
			if err != nil {
				return err
			}
			if was == nil {
				e.say("%s: a new file, readable by %s", path, names(f.Readers()))
			}
			folder, err := e.privateFolder(c.Bool("allow-disk"))
			if err != nil {
				return err
			}
			closed := e.closeOnSignal(folder)
			if !c.Bool("visible") {
				e.isolate(folder)
			}
			err = e.editIn(folder, path, f)
			if err == nil {
				err = e.saveEdit(path, was, f)
			}
			return errors.Join(err, closed())
		},
	}
}

// privateFolder makes a folder in memory; with allowDisk anywhere. Windows has
// none in memory: there it is one that its owner alone can open.
func (e *env) privateFolder(allowDisk bool) (*private.Folder, error) {
	folder, err := private.New([]string{e.getenv("XDG_RUNTIME_DIR"), "/dev/shm"}, os.TempDir())
	if !errors.Is(err, private.ErrDisk) {
		return folder, err
	}
	if !allowDisk && runtime.GOOS != "windows" {
		return nil, &leafseal.Error{Err: fmt.Errorf("%w for the plain text: neither $XDG_RUNTIME_DIR nor /dev/shm is one", err),
			Hint: "leafseal set changes single values without a file; --allow-disk lets the plain text touch the disk"}
	}
	if folder, err = private.OnDisk(os.TempDir()); err == nil {
		e.warn("until this ends, the plain text is in %s, which only you can open, and which is on a disk", folder.Path)
	}
	return folder, err
}

// editIn lets the person edit f's plaintext in the folder until it can be
// sealed, or they give up.
func (e *env) editIn(folder *private.Folder, path string, f *leafseal.File) error {
	name := filepath.Base(path)
	if _, err := folder.Write(name, f.Plaintext()); err != nil {
		return err
	}
	line := 0
	for {
		started := e.now()
		if err := e.runEditor(folder, name, line); err != nil {
			return fmt.Errorf("%s: %w; nothing was written", path, err)
		}
		text, err := folder.Read(name)
		if err != nil {
			return fmt.Errorf("%s: the editor left no file; nothing was written", path)
		}
		if bytes.Equal(text, f.Plaintext()) {
			if e.now().Sub(started).Seconds() < 1 {
				e.warn("the editor came back at once: if it opens a window, it needs a flag to wait, such as code --wait, and leafseal edit --visible")
			}
			return nil
		}
		if err = editText(f, text); err == nil {
			return nil
		}
		e.report(err)
		if err := e.again("Open the editor again?", err); err != nil {
			return err
		}
		line = lineOf(err)
	}
}

// again asks whether to try once more after err, which it returns if not.
func (e *env) again(question string, err error) error {
	answer, asked := e.ask(question+" [Y/n]", false)
	if asked != nil && !errors.Is(asked, errCancelled) {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); asked != nil || a == "n" || a == "no" {
		return fmt.Errorf("%w; nothing was written", errCancelled)
	}
	return nil
}

func lineOf(err error) int {
	var located *leafseal.Error
	if errors.As(err, &located) {
		return located.Line
	}
	return 0
}

// editText seals new text; a merge conflict that is solved returns to the
// file's own format.
func editText(f *leafseal.File, text []byte) error {
	if f.Format() == "text" && gitx.HasMarkers(f.Plaintext()) && !gitx.HasMarkers(text) {
		return f.As("", text)
	}
	return f.Edit(text)
}

// saveEdit writes the edited file. If someone else changed it meanwhile, the
// person's work is kept beside it, encrypted.
func (e *env) saveEdit(path string, was []byte, f *leafseal.File) error {
	if f.Bytes() == nil {
		e.say("%s: nothing was typed, no file was made", path)
		return nil
	}
	err := e.save(path, was, f)
	for err != nil && !errors.Is(err, errChanged) { // a full disk can be emptied
		e.report(err)
		if err := e.again("Try to save your edit again?", err); err != nil {
			return err
		}
		err = e.save(path, was, f)
	}
	if err == nil {
		return nil
	}
	ext := filepath.Ext(path)
	mine := strings.TrimSuffix(path, ext) + ".mine" + ext
	if e.write(mine, nil, f.Bytes()) != nil {
		return err
	}
	return &leafseal.Error{Err: err, Hint: "your version, encrypted, is in " + mine}
}
