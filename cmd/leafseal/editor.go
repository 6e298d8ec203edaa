package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/leafseal/leafseal/internal/private"
)

// quietFlags keep editors from copying the text elsewhere: into swap, backup,
// undo and history files. They were found by watching every write.
var quietFlags = map[string][]string{
	"vim":   {"-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile noswapfile nomodeline viminfo="},
	"nvim":  {"-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile noswapfile nomodeline"},
	"nano":  {"-R"},
	"micro": {"-backup", "false", "-savehistory", "false"},
}

// editor returns the command line of the person's editor, as a shell reads it.
func (e *env) editor() (string, error) {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if v := strings.TrimSpace(e.getenv(name)); v != "" {
			return v, nil
		}
	}
	for _, name := range []string{"vi", "nano", "notepad"} {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", errors.New("no editor: set $EDITOR")
}

// runEditor runs the editor on a file in a private folder, and waits.
func (e *env) runEditor(folder, file string) error {
	line, err := e.editor()
	if err != nil {
		return err
	}
	args := append(flagsFor(line), file)
	var cmd *exec.Cmd
	if runtime.GOOS == "windows" {
		words := append(strings.Fields(line), args...)
		cmd = exec.Command(words[0], words[1:]...)
	} else { // as git does: the variable may hold flags, quotes and tildes
		cmd = exec.Command("/bin/sh", append([]string{"-c", line + ` "$@"`, line}, args...)...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	cmd.Env = append(withoutKeys(e.environ), "TMPDIR="+folder, "XDG_DATA_HOME="+folder, "XDG_STATE_HOME="+folder, "XDG_CACHE_HOME="+folder)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("the editor failed (%s): %q", exit, line)
	}
	return err
}

// flagsFor returns the flags for an editor that is known, through symbolic
// links: vi is vim in many places.
func flagsFor(line string) []string {
	program := strings.Fields(line)[0]
	if path, err := exec.LookPath(program); err == nil {
		program = path
	}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real
	}
	name, _, _ := strings.Cut(filepath.Base(program), ".") // vim.basic
	return quietFlags[name]
}

// withoutKeys is an environment without the variables that hold our keys.
func withoutKeys(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		return strings.HasPrefix(kv, "LEAFSEAL_IDENTITY=") || strings.HasPrefix(kv, "LEAFSEAL_IDENTITY_FILE=")
	})
}

// closeOnSignal removes the folder when the process is told to end. ^C is the
// editor's: it is ignored here. The returned function ends the watch, and
// removes the folder.
func (e *env) closeOnSignal(folder *private.Folder) func() error {
	interrupts, ends := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-interrupts:
			case <-ends:
				folder.Close()
				os.Exit(exitCode(errCancelled))
			case <-done:
				return
			}
		}
	}()
	return func() error {
		signal.Stop(interrupts)
		signal.Stop(ends)
		close(done)
		return folder.Close()
	}
}
