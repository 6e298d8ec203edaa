//go:build !windows

package main

import (
	"os"
	"syscall"
)

const ttyPath = "/dev/tty"

// endsPrompt are the signals by which a prompt is cancelled.
var endsPrompt = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP}
