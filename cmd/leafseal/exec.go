package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/deliver"
	"github.com/leafseal/leafseal/internal/private"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func execCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a program with the values in its environment",
		UsageText: "leafseal exec [FLAG…] FILE… -- COMMAND [ARGUMENT…]",
		Description: `The value at db.password becomes the variable DB_PASSWORD; names of dotenv
files stay as they are. The program does not start unless every file verifies.
It gets its arguments as they stand, without a shell, and its exit code is
leafseal's: 126 if it cannot be run, 127 if there is none.

--file hands over a file instead: on Linux one that has no name and is in
memory, gone when the last program that inherited it ends. Programs that close
what they inherit (ssh, sudo) cannot read it: leafseal decrypt deploy.key | ssh-add -

--mask is for accidents: it hides values of four bytes and more, and their
lines, where they are printed as they are. What the program encodes
(base64, JSON, quotes), cuts or writes to a file or the terminal stays readable.

leafseal exec config/prod.yaml -- ./server --port 8080
leafseal exec --file TLS_KEY=tls.key -- sh -c 'exec ./server --key "$TLS_KEY"'
leafseal exec --mask .env -- ./migrate.sh`,
		ArgsUsage: "FILE… -- COMMAND",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "file", Usage: "set a variable to the path of a file that holds the plain text of FILE, or of one value in it: `VAR=FILE[#PATH]`"},
			&cli.BoolFlag{Name: "mask", Usage: "hide sealed values in what the program prints (its output is no terminal then)"},
			&cli.BoolFlag{Name: "allow-disk", Usage: "where no file is held in memory, let the plain text of --file touch the disk"},
			&cli.StringSliceFlag{Name: "allow", Usage: "set `NAME` though it could make programs run other code, such as PATH or LD_PRELOAD"},
			formatFlag(),
		},
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			dash := slices.Index(args, "--")
			if dash < 0 || dash+1 == len(args) || dash == 0 && !c.IsSet("file") {
				return usagef("exec needs FILE… -- COMMAND")
			}
			files, argv := args[:dash], args[dash+1:]
			if slices.Contains(files, "-") {
				return usagef("exec cannot read a file from standard input, which is the program's")
			}
			h := &handover{e: e, c: c, from: make(map[string]string)}
			for _, path := range files {
				if err := h.addVariables(path); err != nil {
					return err
				}
			}
			for _, wish := range c.StringSlice("file") {
				if err := h.addFile(wish); err != nil {
					return errors.Join(err, h.close())
				}
			}
			path, err := exec.LookPath(argv[0])
			if err == nil {
				if err := h.makeFiles(); err != nil {
					return errors.Join(err, h.close())
				}
				err = h.run(path, argv)
			}
			return errors.Join(cannotRun(e, argv[0], err), h.close())
		},
	}
}

// handover is what a program gets.
type handover struct {
	e      *env
	c      *cli.Context
	vars   []deliver.Variable
	from   map[string]string // variables and the file that each comes from
	hidden []string          // values that --mask hides
	files  []handedFile
	folder *private.Folder // of files, where they cannot do without a name
}

// handedFile is what a variable is to lead to.
type handedFile struct {
	variable   int // in vars
	from, name string
	data       []byte
}

func (h *handover) run(path string, argv []string) error {
	environ := withVariables(withoutKeys(h.e.environ), h.vars)
	if h.folder == nil && !h.c.Bool("mask") {
		return become(h.e, path, argv, environ)
	}
	cmd := &exec.Cmd{Path: path, Args: argv, Env: environ, Stdin: h.e.stdin, Stdout: h.e.stdout, Stderr: h.e.stderr}
	if !h.c.Bool("mask") {
		return runChild(cmd)
	}
	stdout, stderr := deliver.NewMask(h.e.stdout, h.hidden), deliver.NewMask(h.e.stderr, h.hidden)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := runChild(cmd)
	return errors.Join(err, stdout.Close(), stderr.Close())
}

func (h *handover) close() error {
	if h.folder == nil {
		return nil
	}
	return h.folder.Close()
}

// open opens a file and notes what is to be hidden of it.
func (h *handover) open(path string) (*leafseal.File, error) {
	f, err := h.e.open(path, h.c.String("format"))
	if err != nil || !h.c.Bool("mask") {
		return f, err
	}
	values, err := f.Values()
	for _, v := range values {
		if v.Sealed {
			h.hidden = append(h.hidden, v.Text)
		}
	}
	return f, err
}

func (h *handover) add(path, key string, v deliver.Variable) error {
	if other, taken := h.from[v.Name]; taken {
		return &leafseal.Error{File: path, Key: key, Err: fmt.Errorf("the variable %s comes from %s too", v.Name, other)}
	}
	if deliver.Hijacks(v.Name) && !slices.Contains(h.c.StringSlice("allow"), v.Name) {
		return &leafseal.Error{File: path, Key: key, Err: fmt.Errorf("the variable %s could make programs run other code", v.Name), Hint: "--allow " + v.Name + " sets it all the same"}
	}
	h.from[v.Name] = path
	h.vars = append(h.vars, v)
	return nil
}

func (h *handover) addVariables(path string) error {
	f, err := h.open(path)
	if err != nil {
		return err
	}
	vars, err := deliver.Environ(f.Format(), f.Plaintext())
	if err != nil {
		return &leafseal.Error{File: path, Err: err, Hint: "--file VAR=" + path + " hands it over as a file"}
	}
	for _, v := range vars {
		if err := h.add(path, v.From, v); err != nil {
			return err
		}
	}
	return nil
}

// addFile takes VAR=FILE or VAR=FILE#PATH.
func (h *handover) addFile(wish string) error {
	name, path, _ := strings.Cut(wish, "=")
	if !deliver.ShellName(name) || path == "" {
		return usagef("--file takes VAR=FILE or VAR=FILE#PATH")
	}
	path, key, one := path, "", false
	if _, err := os.Lstat(path); err != nil { // a file may have # in its name
		path, key, one = strings.Cut(path, "#")
	}
	f, err := h.open(path)
	if err != nil {
		return err
	}
	data := f.Plaintext()
	if one {
		text, err := f.Get(key)
		if err != nil {
			return err
		}
		data = []byte(text)
	}
	if err := h.add(path, key, deliver.Variable{Name: name}); err != nil {
		return err
	}
	at := len(h.vars) - 1
	h.files = append(h.files, handedFile{at, path, fmt.Sprintf("%d-%s", at, filepath.Base(path)), data})
	return nil
}

// makeFiles makes the files once nothing else is started any more, such as an
// age plugin, that would inherit them.
func (h *handover) makeFiles() error {
	for _, f := range h.files {
		at, err := private.Nameless(f.data)
		if errors.Is(err, errors.ErrUnsupported) {
			at, err = h.named(f.name, f.data)
		}
		if err != nil {
			return fmt.Errorf("%s: its plain text cannot be handed over: %w", f.from, err)
		}
		h.vars[f.variable].Text = at
	}
	return nil
}

// named makes a file in a private folder, which stays as long as we do.
func (h *handover) named(name string, data []byte) (string, error) {
	if h.folder == nil {
		folder, err := h.e.privateFolder(h.c.Bool("allow-disk"))
		if err != nil {
			return "", err
		}
		h.folder = folder
	}
	return h.folder.Write(name, data)
}

// runChild runs a program as our child and waits for it. ^C reaches it by
// itself.
func runChild(cmd *exec.Cmd) error {
	private.DieWithUs(cmd)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(forwarded, os.Interrupt)...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		for s := range signals {
			if s != os.Interrupt {
				cmd.Process.Signal(s)
			}
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return childExit(128 + int(status.Signal())) // as a shell has it
	}
	return childExit(exit.ExitCode())
}

// withVariables sets variables in an environment, over those it has.
func withVariables(environ []string, vars []deliver.Variable) []string {
	set := make(map[string]bool)
	for _, v := range vars {
		set[v.Name] = true
	}
	environ = slices.DeleteFunc(environ, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return set[name]
	})
	for _, v := range vars {
		environ = append(environ, v.Name+"="+v.Text)
	}
	return environ
}

// cannotRun tells why a program did not start, with the exit code that a
// shell would give.
func cannotRun(e *env, name string, err error) error {
	var child childExit
	switch {
	case err == nil || errors.As(err, &child):
		return err
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		e.report(fmt.Errorf("%s: there is no such program", name))
		return childExit(127)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	e.report(fmt.Errorf("%s cannot be run: %w", name, err))
	return childExit(126)
}
