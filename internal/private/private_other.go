//go:build !linux

package private

import (
	"errors"
	"os"
)

// Elsewhere no folder is known to be in memory; New then needs a disk.
func inMemory(string) bool { return false }

// Without locks nobody can tell which folders are dead.
func owned(string) bool { return false }

func lockFolder(string) (*os.File, bool, error) { return nil, true, nil }

// A view needs the namespaces of Linux.
type view struct{}

type request struct {
	Do, Path      string
	Data          []byte
	Argv, Environ []string
}

func (*view) ask(request) ([]byte, error) { return nil, errors.ErrUnsupported }
func (*view) close()                      {}

// Isolate is for Linux alone.
func (f *Folder) Isolate([]string, []string) error { return errors.ErrUnsupported }

// ServeView is for Linux alone.
func ServeView(string, []string) error { return errors.ErrUnsupported }
