package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func lockCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "turn the plain text in this work tree into ciphertext",
		UsageText: "leafseal lock",
		Description: `For files that git's filter shows as plain text. Refuses if a file has edits
that git has not stored; they would be lost. leafseal unlock brings it back.

leafseal lock`,
		Action: func(c *cli.Context) error { return e.relock(c, true) },
	}
}

func unlockCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "unlock",
		Usage:     "show plain text in this work tree again",
		UsageText: "leafseal unlock",
		Description: `For files whose rule says "worktree: plain": after leafseal lock, or in a
clone that was made without a key. If that takes a passphrase, the key stays
unlocked for an hour, for git's next commands: leafseal agent stop ends that.

leafseal unlock`,
		Action: func(c *cli.Context) error {
			e.agentFor = agentLifetime
			return e.relock(c, false)
		},
	}
}

// relock rewrites the files of the work tree that the filter is for. It may be
// killed and run again at any time: each file is either done or not.
func (e *env) relock(c *cli.Context, lock bool) error {
	if _, err := e.arguments(c, 0); err != nil {
		return err
	}
	top := gitRoot(".")
	if top == "" {
		return &leafseal.Error{Err: errors.New("this is not in a git work tree")}
	}
	if err := os.Chdir(top); err != nil { // paths are git's from here on
		return err
	}
	f, end, err := e.filter()
	if err != nil {
		return err
	}
	f.Locked = false
	cancelled, kept := false, f.Kept
	f.Kept = func(path string, err error) {
		cancelled = cancelled || errors.Is(err, errCancelled)
		kept(path, err)
	}
	var handed []string
	if f.Seen == nil {
		key := make([]byte, 32)
		rand.Read(key)
		f.Seen = gitx.OpenSeen(f.Objects, key)
		handed = []string{seenKey + "=" + hex.EncodeToString(key)}
	}
	changes, err := e.relocked(f, lock)
	err = errors.Join(err, f.Seen.Save(), end())
	if cancelled {
		return errCancelled
	}
	if err != nil {
		return err
	}
	if err := f.Objects.SetLocked(lock); err != nil {
		return err
	}
	if err := e.writeAll(changes); err != nil {
		return err
	}
	if len(changes) > 0 { // the sizes differ, so git has to look again
		var paths []string
		for _, ch := range changes {
			paths = append(paths, filepath.ToSlash(ch.path))
		}
		if err := gitx.AddTracked(".", paths, false, handed...); err != nil {
			return err
		}
	}
	state := "plain text"
	if lock {
		state = "ciphertext"
	}
	e.say("%s turned into %s", count(len(changes), "file"), state)
	return nil
}

// relocked computes the changes of lock or unlock.
func (e *env) relocked(f *gitx.Filter, lock bool) ([]change, error) {
	entries, err := gitx.IndexEntries(".")
	if err != nil {
		return nil, err
	}
	var paths []string
	object := make(map[string]string)
	for _, entry := range entries {
		paths = append(paths, entry.Path)
		object[entry.Path] = entry.Object
	}
	attributes, err := gitx.FilterAttributes(".", paths)
	if err != nil {
		return nil, err
	}
	var changes []change
	var edited []string
	for _, path := range paths {
		if attributes[path] != "leafseal" {
			continue
		}
		was, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // removed, or sparse
			continue
		}
		if err != nil {
			return nil, err
		}
		blob, err := f.Objects.Blob(object[path])
		if err != nil {
			return nil, err
		}
		plain := f.Show(path, blob)
		from, to := blob, plain
		if lock {
			from, to = plain, blob
		}
		switch {
		case bytes.Equal(was, to):
		case bytes.Equal(was, from):
			changes = append(changes, change{filepath.FromSlash(path), was, to})
		default:
			edited = append(edited, path)
		}
	}
	if lock && len(edited) > 0 {
		return nil, &leafseal.Error{Err: fmt.Errorf("edits would be lost, which git has not stored: %s", strings.Join(edited, ", ")), Hint: "git add them, or git stash, and lock again"}
	}
	for _, path := range edited {
		e.warn("%s has edits, and is left as it is", path)
	}
	return changes, nil
}
