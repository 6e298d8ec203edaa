//go:build !linux

package private

import "errors"

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
