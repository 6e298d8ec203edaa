//go:build unix

package private

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func makeFolder(place string) (string, error) { return os.MkdirTemp(place, prefix) } // 0700

func createFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// release removes a folder, and then its lock.
func release(f *Folder) error {
	err := remove(f.Path)
	f.lock.Close()
	return err
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
