//go:build unix && !linux

package private

import "golang.org/x/sys/unix"

// Harden keeps this process out of core dumps.
func Harden() error { return NoCore() }

// NoCore forbids core dumps to this process and those it starts.
func NoCore() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
