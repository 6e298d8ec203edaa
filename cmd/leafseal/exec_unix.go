//go:build unix

package main

import (
	"os"
	"syscall"
)

// forwarded are the signals that a program's parent hands on to it.
var forwarded = []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// become turns this process into the program: it keeps the process, its
// terminal and its signals, and returns only if that failed.
func become(_ *env, path string, argv, environ []string) error {
	return syscall.Exec(path, argv, environ)
}
