package private

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A view is a process in a user, mount and PID namespace of its own, in which
// nothing that a program writes can reach a disk: the folder is on ramfs,
// which is never swapped out, the person's own folders are covered by
// overlays in memory, and every other file system is read-only. It ends when
// the process that made it ends, however that one ends, and with it ends every
// program in it. See user_namespaces(7), pid_namespaces(7), mount_setattr(2)
// and overlayfs in the kernel's documentation.
type view struct {
	cmd  *exec.Cmd
	to   io.WriteCloser
	from *os.File
	out  *json.Encoder
	in   *json.Decoder
}

// request is one thing that a view is asked to do.
type request struct {
	Do      string // "write", "read" or "run"
	Path    string
	Data    []byte   // of "write"
	Argv    []string // of "run"
	Environ []string
}

// reply is the answer. The error of an empty first one is that of the view.
type reply struct {
	Data []byte
	Err  string
}

// Isolate moves the folder into a view. args are the arguments by which this
// program comes to call ServeView with the folder and hide, the folders in
// which programs may think they write. On an error the folder is as before.
func (f *Folder) Isolate(args []string, hide []string) error {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirIn.Close()
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		ourOut.Close()
		return err
	}
	defer theirOut.Close()
	v := &view{to: ourOut, from: ourIn, out: json.NewEncoder(ourOut), in: json.NewDecoder(ourIn)}
	uid, gid := os.Geteuid(), os.Getegid()
	v.cmd = &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       append(append(slices.Clone(args), f.Path), hide...),
		Env:        []string{},
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: []*os.File{theirIn, theirOut},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
			AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_DAC_OVERRIDE},
		},
	}
	if err = startDumpable(v.cmd); err == nil {
		var r reply
		if err = v.in.Decode(&r); err == nil && r.Err != "" {
			err = errors.New(r.Err)
		}
	}
	if err != nil {
		v.close()
		return fmt.Errorf("no private view of the files: %w", err)
	}
	f.view = v
	return nil
}

// startDumpable starts a process that is given a user namespace: the kernel
// lets only a dumpable parent write its map of users. What runs until the
// new program starts holds no more than we do, and no core is written.
func startDumpable(cmd *exec.Cmd) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

func (v *view) ask(r request) ([]byte, error) {
	if err := v.out.Encode(r); err != nil {
		return nil, errors.New("the private view has ended")
	}
	var answer reply
	if err := v.in.Decode(&answer); err != nil {
		return nil, errors.New("the private view has ended")
	}
	if answer.Err != "" {
		return nil, errors.New(answer.Err)
	}
	return answer.Data, nil
}

// close ends the view, and every program that is left in it.
func (v *view) close() {
	v.to.Close()
	v.from.Close()
	v.cmd.Wait()
}

// ServeView is the process of a view: it sets it up, and answers until the
// process that made it ends.
func ServeView(folder string, hide []string) error {
	if os.Getpid() != 1 { // all of this would hit the whole machine
		return errors.New("a view needs namespaces of its own")
	}
	runtime.LockOSThread() // what is dropped below is a thread's own
	in, out := os.NewFile(3, "requests"), os.NewFile(4, "replies")
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	// ^C and ^\ are the editor's. That the terminal is gone, the other side hears too.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGQUIT, syscall.SIGHUP)
	replies := json.NewEncoder(out)
	err := NoCore() // of the editor
	if err == nil {
		err = setUpView(folder, hide)
	}
	if err == nil {
		err = dropPrivileges()
	}
	if encoding := replies.Encode(reply{Err: message(err)}); err != nil || encoding != nil {
		return errors.Join(err, encoding)
	}
	for r := range requests(in) {
		data, err := r.do()
		if err := replies.Encode(reply{data, message(err)}); err != nil {
			return nil
		}
	}
	return nil
}

// requests hands on what the other side asks. When that is gone, programs get
// the chance to leave the terminal as they found it; then all of them end, as
// this is the first process of their namespace.
func requests(in io.Reader) <-chan request {
	c := make(chan request)
	go func() {
		from := json.NewDecoder(bufio.NewReader(in))
		for {
			var r request
			if err := from.Decode(&r); err != nil {
				break
			}
			c <- r
		}
		close(c)
		unix.Kill(-1, unix.SIGHUP)
		unix.Kill(-1, unix.SIGCONT)
		time.Sleep(time.Second)
		os.Exit(1)
	}()
	return c
}

func (r request) do() ([]byte, error) {
	switch r.Do {
	case "write":
		return nil, writeFile(r.Path, r.Data)
	case "read":
		return os.ReadFile(r.Path)
	}
	cmd := &exec.Cmd{
		Path: r.Argv[0], Args: r.Argv, Env: r.Environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	return nil, cmd.Run()
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func setUpView(folder string, hide []string) error {
	cwd, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts cannot be made private: %w", err)
	}
	writable, err := inMemoryMounts()
	if err != nil {
		return err
	}
	readOnly := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, readOnly); err != nil {
		return fmt.Errorf("the disks cannot be made read-only: %w", err)
	}
	for _, path := range writable { // one that stays read-only costs comfort only
		if !onFS(path, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.PROC_SUPER_MAGIC, mqueueMagic) {
			continue // a disk is mounted over it
		}
		unix.MountSetattr(unix.AT_FDCWD, path, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	}
	// The layers are on a ramfs of their own, which the second one hides.
	if err := mountMemory(folder); err != nil {
		return err
	}
	if err := cover(folder, hide); err != nil {
		return err
	}
	if err := mountMemory(folder); err != nil {
		return err
	}
	return os.Chdir(cwd) // into what covers it
}

const mqueueMagic = 0x19800202 // ipc/mqueue.c

func mountMemory(path string) error {
	if err := unix.Mount("leafseal", path, "ramfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700"); err != nil {
		return fmt.Errorf("ramfs: %w", err)
	}
	return nil
}

// cover puts an overlay over each of the folders, outer ones first. Those in
// memory anyway need none. One that the kernel refuses, such as for a folder
// with mounts below it, costs comfort only: the folder is read-only then.
func cover(layers string, hide []string) error {
	slices.Sort(hide)
	for i, path := range slices.Compact(hide) {
		if _, err := os.Stat(path); path == "/" || errors.Is(err, os.ErrNotExist) || onFS(path, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC) {
			continue
		}
		upper, work := fmt.Sprintf("%s/upper%d", layers, i), fmt.Sprintf("%s/work%d", layers, i)
		if err := errors.Join(os.Mkdir(upper, 0o700), os.Mkdir(work, 0o700), sameMode(upper, path)); err != nil {
			return err
		}
		options := "userxattr,lowerdir=" + escapeOption(path) + ",upperdir=" + escapeOption(upper) + ",workdir=" + escapeOption(work)
		unix.Mount("leafseal", path, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options)
	}
	return nil
}

// sameMode lets everybody into the overlay whom the folder lets in.
func sameMode(upper, path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	return unix.Chmod(upper, st.Mode&0o7777)
}

func escapeOption(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(path)
}

// inMemoryMounts returns the mount points of file systems that are memory, or
// none at all, and may be written to; see proc_pid_mountinfo(5).
func inMemoryMounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var paths []string
	for line := range strings.Lines(string(data)) {
		left, right, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if len(fields) < 6 || len(kind) == 0 || !slices.Contains(strings.Split(fields[5], ","), "rw") {
			continue
		}
		if slices.Contains([]string{"tmpfs", "ramfs", "devtmpfs", "devpts", "mqueue", "proc"}, kind[0]) {
			paths = append(paths, unescape.Replace(fields[4]))
		}
	}
	return paths, nil
}

// dropPrivileges gives up what the set-up needed, for this thread and what it
// starts: root is nobody special from here on.
func dropPrivileges() error {
	const noRoot = 0x3 // SECBIT_NOROOT and its lock; capabilities(7)
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}
