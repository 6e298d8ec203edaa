package private

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// inMemory reports whether a folder is on tmpfs or ramfs, and whether we can
// trust what is made in it: it is ours, or its sticky bit is set.
func inMemory(place string) bool {
	var fsys unix.Statfs_t
	var st unix.Stat_t
	if unix.Statfs(place, &fsys) != nil || unix.Stat(place, &st) != nil {
		return false
	}
	if int64(fsys.Type) != unix.TMPFS_MAGIC && int64(fsys.Type) != unix.RAMFS_MAGIC {
		return false
	}
	ours := int(st.Uid) == os.Geteuid() && st.Mode&0o022 == 0
	return (ours || st.Mode&unix.S_ISVTX != 0) && unix.Access(place, unix.W_OK) == nil
}

func owned(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && int(st.Uid) == os.Geteuid()
}

// lockFolder takes a folder's lock, which goes with its process. held is
// false if another has it, or if the folder is gone.
func lockFolder(path string) (lock *os.File, held bool, err error) {
	lock, err = os.Open(path)
	if err != nil {
		return nil, false, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
		return nil, false, err
	}
	if _, err := os.Lstat(path); err != nil {
		lock.Close()
		return nil, false, err
	}
	return lock, true, nil
}
