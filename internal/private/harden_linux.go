package private

import "golang.org/x/sys/unix"

// Harden keeps this process out of core dumps, and other processes of the
// same person out of its memory (prctl(2), PR_SET_DUMPABLE). A program that
// it becomes is free again.
func Harden() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// NoCore forbids core dumps to this process and those it starts.
func NoCore() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
