// Package atomic replaces files: whoever reads one sees the old bytes or the
// new ones, whatever fails and whenever, and two writers never lose an update.
package atomic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrChanged says that the file did not hold what the writer had read.
var ErrChanged = errors.New("the file was changed meanwhile")

// Replace writes data to path if the file there still holds was; with a nil
// was, if there is no file. It keeps the mode of the file, follows symbolic
// links to it, and makes new files 0600. After an error the old file stands
// as it was, or, if only the last sync of the folder failed, the new one.
func Replace(path string, was, data []byte) error {
	return replace(path, was != nil, holds(was), writes(data), (*os.File).Sync)
}

func holds(was []byte) func(target string) error {
	return func(target string) error {
		now, err := os.ReadFile(target)
		if err == nil && (was == nil || !bytes.Equal(now, was)) {
			err = ErrChanged
		}
		return err
	}
}

func writes(data []byte) func(w io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// ReplaceWith is Replace for a file of any size: write writes it, and whether
// the file that it replaces has changed is told by its size and time. An error
// of write's leaves the old file.
func ReplaceWith(path string, was fs.FileInfo, write func(w io.Writer) error) error {
	same := func(target string) error {
		now, err := os.Stat(target)
		if err == nil && (was == nil || !os.SameFile(now, was) || now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime())) {
			err = ErrChanged
		}
		return err
	}
	return replace(path, was != nil, same, func(w io.Writer) error {
		b := writeEarly(w.(*os.File))
		return errors.Join(write(b), b.Close())
	}, (*os.File).Sync)
}

// Create is ReplaceWith for a new file that can be made again from what is
// still there: nobody waits until it is on the disk.
func Create(path string, write func(w io.Writer) error) error {
	none := func(string) error { return ErrChanged }
	return replace(path, false, none, write, func(*os.File) error { return nil })
}

func replace(path string, exists bool, same func(target string) error, write func(w io.Writer) error, sync func(*os.File) error) error {
	s, err := stage(path, exists, same, write, sync)
	if err != nil {
		return err
	}
	return s.Commit()
}

// Staged is a new content on the disk beside the file that it is to replace.
type Staged struct {
	tmp, target string
	exists      bool
	same        func(target string) error
}

// Stage does all of Replace but the last step, so that several files can be
// replaced once there is room for all of them. Commit or Discard ends it; a
// process that is killed before leaves a file .leafseal-*.tmp behind.
func Stage(path string, was, data []byte) (*Staged, error) {
	return stage(path, was != nil, holds(was), writes(data), (*os.File).Sync)
}

func stage(path string, exists bool, same func(target string) error, write func(w io.Writer) error, sync func(*os.File) error) (s *Staged, err error) {
	target, err := follow(path)
	if err != nil {
		return nil, err
	}
	if _, err := check(target, exists, same); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), ".leafseal-*.tmp") // 0600
	if errors.Is(err, fs.ErrNotExist) {
		// Its own text names a file that nobody asked for.
		return nil, fmt.Errorf("%s: its folder does not exist", path)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := write(tmp); err != nil {
		return nil, err
	}
	mode, err := check(target, exists, same)
	if err != nil {
		return nil, err
	}
	if err := keep(tmp, target, mode); err != nil {
		return nil, err
	}
	if err := sync(tmp); err != nil {
		return nil, err
	}
	return &Staged{tmp.Name(), target, exists, same}, tmp.Close()
}

// Commit puts the new content in its place.
func (s *Staged) Commit() error {
	dir := filepath.Dir(s.target)
	unlock, err := lock(dir)
	if err != nil {
		s.Discard()
		return err
	}
	defer unlock()
	if _, err = check(s.target, s.exists, s.same); err == nil {
		err = os.Rename(s.tmp, s.target)
	}
	if err != nil {
		s.Discard()
		return err
	}
	return syncDir(dir)
}

// Discard removes the new content.
func (s *Staged) Discard() { os.Remove(s.tmp) }

// follow resolves symbolic links, and lets a file be made where there is none.
func follow(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", &fs.PathError{Op: "write", Path: path, Err: errors.New("this symbolic link leads nowhere")}
		}
		return path, nil
	}
	return target, err
}

// check holds the file against what the writer has read, and returns its mode.
func check(target string, exists bool, same func(target string) error) (fs.FileMode, error) {
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) {
		if exists {
			return 0, ErrChanged
		}
		return 0o600, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, &fs.PathError{Op: "write", Path: target, Err: errors.New("not a regular file")}
	}
	return info.Mode(), same(target)
}
