package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
)

// execute runs the program and waits for it. ^C reaches it by itself.
func execute(e *env, path string, argv, environ []string) error {
	cmd := &exec.Cmd{Path: path, Args: argv, Env: environ, Stdin: e.stdin, Stdout: e.stdout, Stderr: e.stderr}
	signal.Ignore(os.Interrupt)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return childExit(exit.ExitCode())
	}
	return err
}
