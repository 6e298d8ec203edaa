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

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/private"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// quietFlags keep editors from copying the text elsewhere: into swap, backup,
// undo and history files. They were found by watching every write. All of
// these editors take +LINE.
var quietFlags = map[string][]string{
	"vim":   {"-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile noswapfile nomodeline viminfo="},
	"nvim":  {"-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile noswapfile nomodeline"},
	"nano":  {"-R"},
	"micro": {"-backup", "false", "-savehistory", "false", "-saveundo", "false", "-savecursor", "false"},
	"emacs": {"--eval", "(progn (setq make-backup-files nil auto-save-default nil create-lockfiles nil auto-save-list-file-prefix nil) (when (bound-and-true-p savehist-mode) (savehist-mode -1)))"},
}

// windowed are editors whose window may be that of a running program, which
// cannot see into a view.
var windowed = []string{"code", "code-insiders", "codium", "cursor", "windsurf", "zed", "zeditor", "subl", "atom", "mate", "bbedit",
	"gvim", "gedit", "gnome-text-editor", "kate", "kwrite", "mousepad", "xed", "pluma", "idea", "emacsclient"}

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

// isolate shuts the editor in with the folder, where that is possible.
func (e *env) isolate(folder *private.Folder) {
	line, err := e.editor()
	if err != nil {
		return // which runEditor tells
	}
	if slices.Contains(windowed, editorName(line)) {
		e.detail("the editor %q may be a running program: your other programs can see the copy in %s", line, folder.Path)
		e.warn("what the editor %q itself keeps of the text may be on a disk, such as a local history (in code: workbench.localHistory.enabled, files.hotExit)", line)
		return
	}
	hide := []string{"/tmp", "/var/tmp"}
	if home, err := filepath.EvalSymlinks(e.home()); err == nil && filepath.IsAbs(home) {
		hide = append(hide, home)
	}
	if err := folder.Isolate([]string{"leafseal", "view", "--"}, hide); err != nil {
		e.detail("%s; your other programs can see the copy in %s", err, folder.Path)
		if quietFlags[editorName(line)] == nil {
			e.warn("backups, swap and history of the editor %q may be on a disk: leafseal knows no flags against them, and this machine allows no private view", line)
		}
		return
	}
	e.detail("the copy is on ramfs, which only the editor sees; all else it writes is held in memory too")
}

// viewCommand is the process that isolate starts.
func viewCommand(*env) *cli.Command {
	return &cli.Command{
		Name:      "view",
		Usage:     "hold the files of an editor in memory",
		UsageText: "leafseal view FOLDER [HIDE…]",
		Description: `For leafseal edit, which starts it.

leafseal view`,
		Hidden: true,
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) < 2 || !private.IsFolder(args[0]) {
				return usagef("view is started by leafseal edit")
			}
			return private.ServeView(args[0], args[1:])
		},
	}
}

// runEditor runs the editor on a file in a private folder, and waits.
func (e *env) runEditor(folder *private.Folder, name string, at int) error {
	line, err := e.editor()
	if err != nil {
		return err
	}
	if err := private.NoCore(); err != nil { // of the editor
		return err
	}
	args := quietFlags[editorName(line)]
	if at > 0 && args != nil {
		args = append(slices.Clone(args), fmt.Sprintf("+%d", at))
	}
	args = append(slices.Clone(args), filepath.Join(folder.Path, name))
	var cmd *exec.Cmd
	if runtime.GOOS == "windows" {
		words := append(strings.Fields(line), args...)
		cmd = exec.Command(words[0], words[1:]...)
	} else { // as git does: the variable may hold flags, quotes and tildes
		cmd = exec.Command("/bin/sh", append([]string{"-c", line + ` "$@"`, line}, args...)...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	cmd.Env = append(withoutKeys(e.environ), "TMPDIR="+folder.Path, "XDG_DATA_HOME="+folder.Path, "XDG_STATE_HOME="+folder.Path, "XDG_CACHE_HOME="+folder.Path)
	if err := folder.Run(cmd); err != nil {
		if code := new(exec.ExitError); errors.As(err, &code) && code.ExitCode() == 127 { // the shell's, for no such program
			return &leafseal.Error{Err: fmt.Errorf("the editor %q was not found", line), Hint: "set $VISUAL or $EDITOR to one that is installed"}
		}
		return fmt.Errorf("the editor failed (%w): %q", err, line)
	}
	return nil
}

// editorName is the name of the program: the one that it is called by if that
// is known, else that of the file behind symbolic links, as vi is vim in many
// places, and vim is vim.basic.
func editorName(line string) string {
	name := func(path string) string {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		return name
	}
	program := programIn(line)
	if called := name(program); quietFlags[called] != nil || slices.Contains(windowed, called) {
		return called
	}
	if path, err := exec.LookPath(program); err == nil {
		program = path
	}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real
	}
	return name(program)
}

// runners are programs that run the one behind them.
var runners = []string{"env", "command", "exec", "nice", "ionice", "nohup", "setsid", "time"}

// programIn is the program of a command line, behind its assignments.
func programIn(line string) string {
	words := strings.Fields(line)
	for _, word := range words {
		word = strings.Trim(word, `"'`)
		name, _, assigns := strings.Cut(word, "=")
		if assigns && !strings.Contains(name, "/") || strings.HasPrefix(word, "-") || slices.Contains(runners, filepath.Base(word)) {
			continue
		}
		return word
	}
	return words[0]
}

// withoutKeys is an environment without the variables that hold our keys.
func withoutKeys(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{"LEAFSEAL_IDENTITY", "LEAFSEAL_IDENTITY_FILE", seenKey}, name)
	})
}

// closeOnSignal removes the folder when the process is told to end. ^C and ^\
// are the editor's: they are ignored here. The returned function ends the watch, and
// removes the folder.
func (e *env) closeOnSignal(folder *private.Folder) func() error {
	interrupts, ends := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGQUIT)
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
