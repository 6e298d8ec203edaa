package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// run is the whole program but for the process around it. It returns the exit
// code.
func run(args []string, e *env) (code int) {
	defer func() {
		if p := recover(); p != nil { // whose text may hold a value
			fmt.Fprintf(e.stderr, "leafseal: this is a bug in leafseal %s, please report it: %s\n", version(), whereInStack())
			code = 1
		}
	}()
	app := newApp(e)
	err := app.Run(append(args[:1:1], arrange(app.Commands, args[1:])...))
	if err != nil {
		e.report(err)
	}
	return exitCode(err)
}

// whereInStack names the functions of this program that led to a panic.
func whereInStack() string {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(3, pc)])
	var at []string
	for more := true; more && len(at) < 8; {
		var f runtime.Frame
		if f, more = frames.Next(); strings.Contains(f.Function, "leafseal/leafseal/") || strings.HasPrefix(f.Function, "main.") {
			at = append(at, fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line))
		}
	}
	return strings.Join(at, " < ")
}

func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:      "leafseal",
		Usage:     "keep secrets in git without keeping them in plain text there",
		Version:   version(),
		Reader:    e.stdin,
		Writer:    e.stdout,
		ErrWriter: e.stderr,
		Suggest:   true,

		DisableSliceFlagSeparator: true, // a comma is part of a value
		Commands: []*cli.Command{
			initCommand(e), keygenCommand(e),
			encryptCommand(e), decryptCommand(e), editCommand(e),
			getCommand(e), setCommand(e), unsetCommand(e),
			execCommand(e), renderCommand(e),
			statusCommand(e), applyCommand(e), usersCommand(e), policyCommand(e),
			rotateCommand(e), verifyCommand(e), resealCommand(e),
			gitCommand(e), checkCommand(e), lockCommand(e), unlockCommand(e), resolveCommand(e),
			importCommand(e), exportCommand(e), convertCommand(e),
			agentCommand(e), doctorCommand(e), completionCommand(e), completeCommand(e), viewCommand(e),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("there is no command %q%s", c.Args().First(), suggest(c.App.Commands, c.Args().First()))
			}
			return cli.ShowAppHelp(c)
		},
		CustomAppHelpTemplate: appHelp,
		OnUsageError:          onUsageError,
		ExitErrHandler:        func(*cli.Context, error) {},
		HideHelpCommand:       true,
	}
	for _, cmd := range allCommands(app.Commands) {
		cmd.Flags = append(cmd.Flags, commonFlags(e)...)
		for _, f := range cmd.Flags {
			if b, ok := f.(*cli.BoolFlag); ok {
				b.DisableDefaultText = true // it is false, of course
			}
		}
		cmd.OnUsageError = onUsageError
		cmd.HideHelpCommand = true
		cmd.Before = func(c *cli.Context) error { e.flags(c); return nil }
		if len(cmd.Subcommands) > 0 && cmd.Action == nil {
			cmd.Action = func(c *cli.Context) error {
				if c.Args().Present() {
					return usagef("%s has no command %q%s", c.Command.Name, c.Args().First(), suggest(c.Command.Subcommands, c.Args().First()))
				}
				return cli.ShowSubcommandHelp(c)
			}
		}
	}
	return app
}

func allCommands(list []*cli.Command) []*cli.Command {
	var all []*cli.Command
	for _, c := range list {
		all = append(append(all, c), allCommands(c.Subcommands)...)
	}
	return all
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

const appHelp = `leafseal: {{.Usage}}

usage: leafseal COMMAND [FLAG…] [ARGUMENT…]      (leafseal COMMAND -h says more)

first steps:
  leafseal init                      find or make your key, write the policy
  leafseal edit config/secrets.yaml  a new or existing file, in your editor, in memory only
  leafseal exec config/secrets.yaml -- ./server

commands:{{range .VisibleCommands}}
  {{printf "%-11s" .Name}} {{.Usage}}{{end}}

exit codes: 0 done · 1 failed, or status found something · 2 usage · 3 not a leafseal file ·
  4 no identity opens it · 5 tampered · 6 the policy refuses · 7 changed underneath · 8 cancelled
`

// commonFlags are understood by every command, anywhere before "--".
func commonFlags(e *env) []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "use the age or SSH key in `FILE` instead of the usual places"},
		&cli.BoolFlag{Name: "no-input", Usage: "never ask; fail and say what is missing"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing but errors"},
		&cli.BoolFlag{Name: "verbose", Usage: "say where keys and rules were found"},
	}
}

// arrange moves flags in front of the arguments, where cli/v2 wants them: it
// takes a flag behind an argument for one more argument. Behind "--" all is
// argument; exec gets to see that "--".
func arrange(commands []*cli.Command, args []string) []string {
	flags := commonFlags(nil)
	var path, options, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch cmd := find(commands, arg); {
		case arg == "--":
			if slices.Equal(path, []string{"exec"}) {
				rest = append(rest, "--")
			}
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case len(arg) > 1 && arg[0] == '-':
			name, takesValue := flagNamed(flags, arg)
			options = append(options, name)
			if takesValue {
				if i++; i == len(args) || args[i] == "--" {
					return append(path, name) // which is an error
				}
				options = append(options, args[i])
			}
		case cmd != nil:
			path = append(path, arg)
			commands, flags = cmd.Subcommands, slices.Concat(flags, cmd.Flags)
		default:
			commands = nil
			rest = append(rest, arg)
		}
	}
	if len(path) == 0 && len(rest) > 0 {
		options = nil // there is no such command: its flags are not the news
	}
	return slices.Concat(path, options, []string{"--"}, rest)
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// flagNamed returns a flag by its first name, as cli/v2 takes it amiss if two of
// its names are used, and whether the next argument is its value.
func flagNamed(flags []cli.Flag, arg string) (string, bool) {
	name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		first := "--" + f.Names()[0]
		if given {
			return first + "=" + value, false
		}
		d, ok := f.(cli.DocGenerationFlag)
		return first, ok && d.TakesValue()
	}
	return arg, false
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func onUsageError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		text = "there is no flag " + name
		if c.Command != nil {
			if near := cli.SuggestFlag(c.Command.Flags, strings.TrimLeft(name, "-"), false); near != "" {
				text += ", did you mean " + near + "?"
			}
		}
	}
	return usagef("%s", text)
}

func suggest(commands []*cli.Command, name string) string {
	if near := cli.SuggestCommand(commands, name); !strings.Contains(near, `""`) { // a whole question
		return ", " + strings.ToLower(near)
	}
	return ""
}

var (
	errChanged   = errors.New("the file was changed by someone else meanwhile")
	errCancelled = errors.New("cancelled")
	errFindings  = errors.New("something was found") // exit 1, all said already
)

// childExit is the exit code of a program that exec ran.
type childExit int

func (c childExit) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// exitCode is the one place that maps errors to exit codes.
func exitCode(err error) int {
	var child childExit
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &child):
		return int(child)
	case errors.As(err, &usage):
		return 2
	case errors.Is(err, errCancelled): // whatever could not be done without the answer
		return 8
	case errors.Is(err, leafseal.ErrNotEncrypted):
		return 3
	case errors.Is(err, leafseal.ErrTampered):
		return 5
	case errors.Is(err, leafseal.ErrNoIdentity):
		return 4
	case errors.Is(err, leafseal.ErrPolicy):
		return 6
	case errors.Is(err, errChanged):
		return 7
	}
	return 1
}
