//go:build linux || darwin

package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// secret is memory that is not swapped out. It is not part of Go's heap: no
// copy is made of it.
type secret struct{ bytes, page []byte }

func newSecret(n int) (*secret, error) {
	size := (n + os.Getpagesize() - 1) &^ (os.Getpagesize() - 1)
	page, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	s := &secret{page[:n], page}
	if err := errors.Join(unix.Mlock(page), dontDump(page)); err != nil {
		s.wipe()
		return nil, fmt.Errorf("memory cannot be locked: %w (see ulimit -l)", err)
	}
	return s, nil
}

func (s *secret) wipe() {
	clear(s.page)
	unix.Munmap(s.page)
	s.page, s.bytes = nil, nil
}

// onlyOurs reports whether nobody else can put something into a folder.
func onlyOurs(dir string) bool {
	var st unix.Stat_t
	return unix.Lstat(dir, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && int(st.Uid) == os.Geteuid() && st.Mode&0o022 == 0
}

// takeLock makes sure that one agent listens.
func takeLock(path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("an agent runs already: %w", err)
	}
	return func() { file.Close() }, nil
}

// Detach lets a program that is not started yet live on by itself, without
// the files that this process was given.
func Detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for fd := 3; fd < 1024; fd++ {
		syscall.CloseOnExec(fd)
	}
}
