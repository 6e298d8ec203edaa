//go:build unix

package main

import "syscall"

// execute becomes the program: it keeps the process, its terminal and its
// signals, and returns only if that failed.
func execute(_ *env, path string, argv, environ []string) error {
	return syscall.Exec(path, argv, environ)
}
