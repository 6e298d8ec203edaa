package main

import (
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/deliver"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// completions are the scripts for each shell. What they offer may come out of
// files that others wrote, so each shell quotes it before it stands on the
// command line.
var completions = map[string]string{
	"bash": `_leafseal() {
  local word IFS=$'\n'
  COMPREPLY=()
  for word in $(leafseal complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
    COMPREPLY+=("$(printf %q "$word")")
  done
}
complete -o default -F _leafseal leafseal
`,
	"zsh": `#compdef leafseal
_leafseal() {
  local -a found
  found=("${(@f)$(leafseal complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found[1]" ]]; then compadd -- "${found[@]}"; else _files; fi
}
if [[ "$funcstack[1]" = _leafseal ]]; then _leafseal "$@"; else compdef _leafseal leafseal; fi
`,
	"fish": `function __leafseal
  set -l words (commandline -opc) (commandline -ct)
  leafseal complete -- $words[2..-1] 2>/dev/null
end
complete -c leafseal -a '(__leafseal)'
`,
	"powershell": `Register-ArgumentCompleter -Native -CommandName leafseal -ScriptBlock {
  param($word, $ast, $cursor)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if (-not $word) { $words += '' }
  leafseal complete -- @words 2>$null | ForEach-Object {
    $text = $_
    if ($text -notmatch '^[A-Za-z0-9_./-]+$') { $text = "'" + $text.Replace("'", "''") + "'" }
    [System.Management.Automation.CompletionResult]::new($text, $_, 'ParameterValue', $_)
  }
}
`,
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script for a shell",
		UsageText: "leafseal completion bash|zsh|fish|powershell",
		Description: `Completes commands, flags, and the paths in files: names are in plain sight,
so nothing is decrypted and no key is needed.

source <(leafseal completion bash)
leafseal completion fish > ~/.config/fish/completions/leafseal.fish`,
		ArgsUsage: "SHELL",
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, strings.Join(shells, ", "))
			if err != nil {
				return err
			}
			script, ok := completions[args[0]]
			if !ok {
				return usagef("there is no completion for %.20q, only for %s", args[0], strings.Join(shells, ", "))
			}
			_, err = e.stdout.Write([]byte(script))
			return err
		},
	}
}

// completeCommand is what the scripts call: it prints what the last of WORDS
// may become, one per line, or nothing where it is a file.
func completeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "complete",
		Usage:     "print what a word may become",
		UsageText: "leafseal complete -- WORD…",
		Description: `For the scripts that leafseal completion prints.

leafseal complete -- get config/prod.yaml db.`,
		Hidden: true,
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) == 0 {
				return nil
			}
			last := words[len(words)-1]
			for _, word := range candidatesFor(c.App.Commands, words[:len(words)-1], last) {
				if strings.HasPrefix(word, last) {
					e.list("%s", word)
				}
			}
			return nil
		},
	}
}

func candidatesFor(commands []*cli.Command, before []string, last string) []string {
	flags := commonFlags(nil)
	var cmd *cli.Command
	var args []string
	for i := 0; i < len(before); i++ {
		word := before[i]
		if word == "--" {
			return nil
		}
		if len(word) > 1 && word[0] == '-' {
			name, takesValue := flagNamed(flags, word)
			if !takesValue {
				continue
			}
			if i++; i == len(before) {
				return flagValues(cmd, strings.TrimLeft(name, "-"))
			}
		} else if sub := find(commands, word); sub != nil && len(args) == 0 {
			cmd, commands, flags = sub, sub.Subcommands, slices.Concat(flags, sub.Flags)
		} else {
			args = append(args, word)
		}
	}
	switch {
	case strings.HasPrefix(last, "-"):
		return flagNames(flags)
	case len(commands) > 0 && len(args) == 0:
		var names []string
		for _, c := range commands {
			if !c.Hidden {
				names = append(names, c.Name)
			}
		}
		return names
	case cmd == nil:
	case cmd.Name == "completion":
		return shells
	case len(args) == 1 && slices.Contains([]string{"get", "set", "unset"}, cmd.Name):
		return pathsIn(args[0])
	}
	return nil
}

func flagNames(flags []cli.Flag) []string {
	var names []string
	for _, f := range flags {
		if first := "--" + f.Names()[0]; !slices.Contains(names, first) {
			names = append(names, first)
		}
	}
	return names
}

func flagValues(cmd *cli.Command, name string) []string {
	switch name {
	case "from":
		return []string{"sops", "git-crypt", "dotenvx", "ansible-vault"}
	case "input":
		return []string{"yaml", "json", "dotenv", "ini", "binary"}
	case "as":
		if cmd != nil && cmd.Name == "export" {
			return []string{"sops"}
		}
		return deliver.Notations
	case "to-format":
		return deliver.Convertible
	case "format":
		return leafseal.Formats()
	}
	return nil
}

func pathsIn(file string) []string {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	info, err := leafseal.Inspect(src, leafseal.Options{Name: file})
	if err != nil {
		return nil
	}
	var paths []string
	for _, v := range info.Values {
		paths = append(paths, v.Path)
	}
	return paths
}
