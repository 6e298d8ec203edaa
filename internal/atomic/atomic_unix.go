//go:build unix

package atomic

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps other writers out of a folder until the returned function is
// called. It leaves no file behind: the folder itself is locked.
func lock(dir string) (func(), error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if err == nil || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOLCK) {
			return func() { d.Close() }, nil // some network filesystems have no locks
		}
		if !errors.Is(err, unix.EINTR) {
			d.Close()
			return nil, &fs.PathError{Op: "lock", Path: dir, Err: err}
		}
	}
}

// keep gives the new file the mode and, where we may, the owner of the old.
func keep(tmp *os.File, target string, mode fs.FileMode) error {
	if info, err := os.Stat(target); err == nil {
		var st unix.Stat_t
		if unix.Stat(target, &st) == nil && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
			tmp.Chown(int(st.Uid), int(st.Gid)) // only root may: best effort
		}
		mode = info.Mode()
	}
	return tmp.Chmod(mode.Perm())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some filesystems cannot
		return err
	}
	return nil
}
