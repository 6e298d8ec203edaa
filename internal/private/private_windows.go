package private

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/windows"
)

// inMemory: Windows has no folders in memory.
func inMemory(string) bool { return false }

// ramDisks: macOS alone makes them without further ado.
const ramDisks = false

func mountDisk(string) error   { return ErrDisk }
func unmountDisk(string) error { return nil }

// makeFolder makes a folder that its owner alone may open, whatever the one
// above it says.
func makeFolder(place string) (string, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	owner, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		return "", err
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: owner}
	for {
		path := filepath.Join(place, prefix+strconv.FormatUint(rand.Uint64(), 10))
		name, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return "", err
		}
		if err = windows.CreateDirectory(name, attributes); !errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
			return path, err
		}
	}
}

// createFile makes a file that the system keeps in memory as long as it can
// (FILE_ATTRIBUTE_TEMPORARY), and indexes nowhere.
func createFile(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, windows.FILE_SHARE_READ, nil, windows.CREATE_ALWAYS,
		windows.FILE_ATTRIBUTE_TEMPORARY|windows.FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, 0)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

func owned(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// lockFolder takes a folder's lock: a file beside it that nobody else can open
// and that goes with its process.
func lockFolder(path string) (lock *os.File, held bool, err error) {
	name, err := windows.UTF16PtrFromString(path + ".lock")
	if err != nil {
		return nil, false, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_TEMPORARY|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	lock = os.NewFile(uintptr(h), path+".lock")
	if _, err := os.Lstat(path); err != nil {
		lock.Close()
		return nil, false, err
	}
	return lock, true, nil
}

// release removes a folder, and then its lock.
func release(f *Folder) error {
	err := remove(f.Path)
	f.lock.Close()
	return err
}
