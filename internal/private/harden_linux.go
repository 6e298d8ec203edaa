package private

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Harden keeps this process out of core dumps, and other processes of the
// same person out of its memory (prctl(2), PR_SET_DUMPABLE). A program that
// it becomes is free again.
func Harden() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// NoCore forbids core dumps to this process and those it starts.
func NoCore() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

// DieWithUs makes the kernel kill a program that is not started yet when this
// process ends. It has to be started by the same goroutine, which keeps its
// thread.
func DieWithUs(cmd *exec.Cmd) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// Nameless makes a file in memory that has no name: the programs that this
// process becomes or starts inherit it, and see it at path. It cannot be
// changed, and goes with the last of them (memfd_create(2)).
func Nameless(data []byte) (path string, err error) {
	if len(data) > maxFile {
		return "", errTooLarge
	}
	fd, err := unix.MemfdCreate("leafseal", unix.MFD_ALLOW_SEALING)
	if err != nil {
		return "", err
	}
	for rest := data; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil {
			return "", err
		}
		rest = rest[n:]
	}
	if err := unix.Fchmod(fd, 0o400); err != nil {
		return "", err
	}
	const all = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, all); err != nil {
		return "", err
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), nil
}
