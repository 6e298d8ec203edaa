//go:build !linux

package private

import "os"

// Elsewhere no folder is known to be in memory; New then needs a disk.
func inMemory(string) bool { return false }

// Without locks nobody can tell which folders are dead.
func owned(string) bool { return false }

func lockFolder(string) (*os.File, bool, error) { return nil, true, nil }
