package main

import (
	"os"
	"os/exec"
	"syscall"
)

var forwarded = []os.Signal{syscall.SIGTERM}

// become runs the program and waits for it, as Windows knows nothing closer.
func become(e *env, path string, argv, environ []string) error {
	return runChild(&exec.Cmd{Path: path, Args: argv, Env: environ, Stdin: e.stdin, Stdout: e.stdout, Stderr: e.stderr})
}
