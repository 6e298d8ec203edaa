//go:build !unix

package atomic

import (
	"io/fs"
	"os"
)

// Windows has no lock on folders: Replace still compares before it renames.
func lock(string) (func(), error) { return func() {}, nil }

func keep(*os.File, string, fs.FileMode) error { return nil }

func syncDir(string) error { return nil }
