// Package atomic replaces files: whoever reads one sees the old bytes or the
// new ones, whatever fails and whenever, and two writers never lose an update.
package atomic

import (
	"bytes"
	"errors"
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
func Replace(path string, was, data []byte) (err error) {
	target, err := follow(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(target)
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	mode, err := check(target, was)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".leafseal-*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := keep(tmp, target, mode); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return err
	}
	return syncDir(dir)
}

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

// check compares the file with what the writer has read, and returns its mode.
func check(target string, was []byte) (fs.FileMode, error) {
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) {
		if was != nil {
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
	now, err := os.ReadFile(target)
	if err != nil {
		return 0, err
	}
	if was == nil || !bytes.Equal(now, was) {
		return 0, ErrChanged
	}
	return info.Mode(), nil
}
