package private

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// inMemory: macOS has no folders in memory but those that mountDisk makes.
func inMemory(string) bool { return false }

// ramDisks: macOS alone makes them without further ado.
const ramDisks = true

// diskSize is that of a RAM disk, in sectors of 512 bytes: 64 MB. Only what is
// written takes memory.
const diskSize = 64 << 11

// mountDisk puts a RAM disk at path, for its owner alone; see hdiutil(1) and
// newfs_hfs(8). What of it is swapped out is encrypted, as all swap is there.
func mountDisk(path string) error {
	out, err := tool("/usr/bin/hdiutil", "attach", "-nomount", fmt.Sprintf("ram://%d", diskSize))
	device := strings.TrimSpace(out)
	if err != nil || !strings.HasPrefix(device, "/dev/disk") {
		return fmt.Errorf("%w, nor can one be made: %w", ErrDisk, errors.Join(errors.New("no RAM disk"), err))
	}
	_, err = tool("/sbin/newfs_hfs", "-M", "700", "-v", "leafseal", device)
	if err == nil {
		_, err = tool("/sbin/mount", "-t", "hfs", "-o", "noatime,nobrowse,nosuid,nodev", device, path)
	}
	if err != nil {
		tool("/usr/bin/hdiutil", "detach", "-force", device)
		return fmt.Errorf("%w, nor can one be made: %w", ErrDisk, err)
	}
	return nil
}

// unmountDisk takes a RAM disk away, if there is one at path.
func unmountDisk(path string) error {
	var fsys unix.Statfs_t
	if err := unix.Statfs(path, &fsys); err != nil {
		return err
	}
	at, device := unix.ByteSliceToString(fsys.Mntonname[:]), unix.ByteSliceToString(fsys.Mntfromname[:])
	if !strings.HasSuffix(at, path) || !strings.HasPrefix(device, "/dev/disk") { // /tmp is /private/tmp
		return nil
	}
	_, err := tool("/usr/bin/hdiutil", "detach", "-force", device)
	return err
}

func tool(name string, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), err
}
