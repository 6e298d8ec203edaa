package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func doctorCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "tell what leafseal found on this machine, and what is missing",
		UsageText: "leafseal doctor [--json]",
		Description: `Lists where keys were looked for, the policy, the editor, and where edited
plain text would live. Exits with 1 if something is amiss. It prints no secret.

leafseal doctor`,
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			e.quiet = e.quiet || c.Bool("json") // the warnings are among the findings
			return e.showSymptoms(c, e.examine())
		},
	}
}

func (e *env) showSymptoms(c *cli.Context, found []symptom) error {
	amiss := 0
	for _, f := range found {
		mark := "ok  "
		if !f.OK {
			mark = "look"
			amiss++
		}
		if !c.Bool("json") {
			e.list("%s  %-9s %s", mark, f.About, f.Text)
		}
	}
	if c.Bool("json") {
		if err := e.listJSON(found); err != nil {
			return err
		}
	}
	if amiss > 0 {
		return errFindings
	}
	return nil
}

// symptom is one line of doctor's report.
type symptom struct {
	About string `json:"about"`
	Text  string `json:"text"`
	OK    bool   `json:"ok"`
}

func (e *env) examine() []symptom {
	var all []symptom
	tell := func(about, text string, ok bool) { all = append(all, symptom{about, text, ok}) }
	tell("version", "leafseal "+version(), true)
	if ring, err := e.ring(); err != nil {
		tell("keys", err.Error(), false)
	} else {
		for _, p := range ring.Places {
			tell("keys", placeLine(p), true)
		}
		for _, w := range ring.Warnings {
			tell("keys", w, false)
		}
		for _, k := range ring.PublicKeys() {
			tell("keys", "you are "+k, true)
		}
		if len(ring.Identities()) == 0 {
			tell("keys", "no key was found: leafseal keygen makes one", false)
		}
	}
	status, _ := e.agentStatus()
	tell("agent", status, true)
	if e.noTerminal() {
		tell("terminal", "nobody can be asked for a passphrase here", true)
	}
	switch r, err := repoOf(leafseal.PolicyFile); {
	case err != nil:
		tell("policy", err.Error(), false)
	case r == nil:
		tell("policy", "there is no "+leafseal.PolicyFile+" here or above: leafseal init makes one", true)
	default:
		tell("policy", fmt.Sprintf("%s: %s, %s", filepath.Join(r.root, leafseal.PolicyFile), count(len(r.policy.Files), "rule"), count(len(r.policy.Users), "key")), true)
	}
	if r, err := repoOf(leafseal.PolicyFile); r != nil && err == nil && gitRoot(r.root) != "" {
		for _, look := range []func(*repo) ([]symptom, error){e.gitSymptoms, e.gitLeftovers} {
			found, err := look(r)
			if err != nil {
				tell("git", err.Error(), false)
			}
			all = append(all, found...)
		}
	}
	if line, err := e.editor(); err != nil {
		tell("editor", err.Error(), false)
	} else if flags := quietFlags[editorName(line)]; flags == nil {
		tell("editor", line+" (unknown here: see to it that it keeps no backups, swap or history)", true)
	} else {
		tell("editor", line+" "+strings.Join(flags, " "), true)
	}
	tell(e.editPlace())
	if _, err := git(".", "--version"); err != nil {
		tell("git", "not found: files are looked for in all folders", true)
	}
	return all
}

// editPlace tells where edit would put plain text.
func (e *env) editPlace() (about, text string, ok bool) {
	folder, err := e.privateFolder(false)
	if err != nil {
		var located *leafseal.Error
		if errors.As(err, &located) {
			return "edit", err.Error() + "; " + located.Hint, false
		}
		return "edit", err.Error(), false
	}
	place := filepath.Dir(folder.Path)
	held := "held in memory"
	if runtime.GOOS == "windows" {
		held = "in a temporary file"
	}
	text = "plain text is " + held + ", below " + place + ", where your other programs can see it"
	if isolated := folder.Isolate([]string{"leafseal", "view", "--"}, []string{"/tmp"}); isolated == nil {
		text = "plain text is held in memory that only the editor sees"
	} else {
		text += " (" + isolated.Error() + ")"
	}
	if err := folder.Close(); err != nil {
		return "edit", err.Error(), false
	}
	return "edit", text, true
}
