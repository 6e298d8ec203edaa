// Package private makes folders for plaintext that a program must see as a
// file: in memory on Linux (tmpfs, or ramfs that nobody else sees) and macOS (a
// RAM disk); on Windows, which has neither, for their owner alone, in files
// that the system keeps in memory as long as it can.
package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrDisk says that every place that was offered is on a disk.
var ErrDisk = errors.New("there is no memory-backed folder")

const prefix = "leafseal-private-" // digits follow

// isOurs reports whether New may have made the folder at path: whatever is
// ours, is called so and is not locked, is swept.
func isOurs(path string) bool {
	number, ok := strings.CutPrefix(filepath.Base(path), prefix)
	info, err := os.Lstat(path)
	return ok && number != "" && strings.Trim(number, "0123456789") == "" && err == nil && info.IsDir() &&
		(info.Mode().Perm() == 0o700 || runtime.GOOS == "windows") && owned(path)
}

// Folder is a private folder; Close removes it.
type Folder struct {
	Path string
	lock *os.File // held as long as we live
	view *view    // where the folder is seen; nil: everywhere
}

// maxFile bounds what is written: ramfs has no limit of its own.
const maxFile = 256 << 20

var errTooLarge = fmt.Errorf("more than %d MB are too much to hold in memory as a file", maxFile>>20)

// New makes a folder for its owner alone in the first of places that is held
// in memory; if none is, below temp as the mount point of a RAM disk, where
// the system has those. Else the error is ErrDisk. What dead processes left
// there is removed.
func New(places []string, temp string) (*Folder, error) {
	for _, place := range places {
		if place != "" && inMemory(place) {
			sweep(place)
			return create(place, noDisk)
		}
	}
	if !ramDisks {
		return nil, ErrDisk
	}
	sweep(temp)
	return create(temp, mountDisk)
}

// OnDisk makes a folder for its owner alone below temp, whatever that is on.
func OnDisk(temp string) (*Folder, error) {
	sweep(temp)
	return create(temp, noDisk)
}

func noDisk(string) error { return nil }

// create makes a folder in place; mount puts memory there.
func create(place string, mount func(path string) error) (*Folder, error) {
	for {
		path, err := makeFolder(place)
		if err != nil {
			return nil, err
		}
		if err := mount(path); err != nil {
			os.Remove(path)
			return nil, err
		}
		lock, held, err := lockFolder(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			remove(path)
			return nil, err
		}
		if held {
			return &Folder{Path: path, lock: lock}, nil
		}
		// A sweep came between the two: it takes the folder away, so again.
	}
}

// remove takes away a folder and all in it.
func remove(path string) error {
	if err := unmountDisk(path); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// IsFolder reports whether path is that of a folder that New makes.
func IsFolder(path string) bool {
	return filepath.IsAbs(path) && isOurs(path)
}

// Write makes a file in the folder, or replaces it; only its owner can read it.
func (f *Folder) Write(name string, data []byte) (path string, err error) {
	path = filepath.Join(f.Path, name)
	if len(data) > maxFile {
		return "", errTooLarge
	}
	if f.view != nil {
		_, err = f.view.ask(request{Do: "write", Path: path, Data: data})
		return path, err
	}
	return path, writeFile(path, data)
}

func writeFile(path string, data []byte) error {
	file, err := createFile(path)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// Read returns a file of the folder.
func (f *Folder) Read(name string) ([]byte, error) {
	path := filepath.Join(f.Path, name)
	if f.view != nil {
		return f.view.ask(request{Do: "read", Path: path})
	}
	return os.ReadFile(path)
}

// Run runs a program that can see the folder, and waits. In a view it has the
// standard streams of this process.
func (f *Folder) Run(cmd *exec.Cmd) error {
	if f.view == nil {
		return cmd.Run()
	}
	_, err := f.view.ask(request{Do: "run", Argv: append([]string{cmd.Path}, cmd.Args[1:]...), Environ: cmd.Env})
	return err
}

// Close removes the folder and all in it.
func (f *Folder) Close() error {
	if f.view != nil {
		f.view.close()
	}
	err := release(f)
	if err != nil {
		return fmt.Errorf("plaintext may be left behind: %w", err)
	}
	return nil
}

// sweep removes the folders of processes that died. Errors are of no use to
// anyone: the folders may belong to other people.
func sweep(place string) {
	entries, _ := os.ReadDir(place)
	for _, e := range entries {
		path := filepath.Join(place, e.Name())
		if !isOurs(path) {
			continue
		}
		if lock, held, err := lockFolder(path); err == nil && held {
			release(&Folder{Path: path, lock: lock})
		}
	}
}
