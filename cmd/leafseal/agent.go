package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/agent"
	"github.com/leafseal/leafseal/internal/private"
)

const agentLifetime = time.Hour

var errLifetime = usagef("--for takes a time such as 30m or 8h")

func agentCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "agent",
		Usage:     "keep keys with a passphrase unlocked for a while",
		UsageText: "leafseal agent [--for TIME]\nleafseal agent stop|status",
		Description: `Asks for the passphrases of your keys once, and holds the keys in the memory
of a process of its own. Other runs of leafseal, and git's filters, ask it. It
listens on a socket that only you can open, and ends when the time is over.

leafseal agent
leafseal agent --for 8h`,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "for", Usage: "hold keys for `TIME`, such as 30m or 8h", Value: agentLifetime},
		},
		Subcommands: []*cli.Command{
			{
				Name:      "stop",
				Usage:     "end the agent: it forgets all keys",
				UsageText: "leafseal agent stop",
				Description: `Does nothing if no agent runs.

leafseal agent stop`,
				Action: func(c *cli.Context) error {
					if _, err := e.arguments(c, 0); err != nil {
						return err
					}
					return e.agentClient().Stop()
				},
			},
			{
				Name:      "status",
				Usage:     "tell what the agent holds, and until when",
				UsageText: "leafseal agent status",
				Description: `Exits with 1 if no agent runs.

leafseal agent status`,
				Action: func(c *cli.Context) error {
					if _, err := e.arguments(c, 0); err != nil {
						return err
					}
					text, runs := e.agentStatus()
					e.list("%s", text)
					if !runs {
						return errFindings
					}
					return nil
				},
			},
			{
				Name:      "serve",
				Usage:     "be the agent",
				UsageText: "leafseal agent serve --for TIME",
				Description: `Started by leafseal agent, or by a service manager of yours: it does not go to
the background.

leafseal agent serve --for 8h`,
				Flags:  []cli.Flag{&cli.DurationFlag{Name: "for", Usage: "end after `TIME`", Value: agentLifetime}},
				Hidden: true,
				Action: func(c *cli.Context) error {
					if _, err := e.arguments(c, 0); err != nil {
						return err
					}
					if c.Duration("for") <= 0 {
						return errLifetime
					}
					if err := private.NoCore(); err != nil {
						return err
					}
					return agent.Serve(e.agentClient().Path, c.Duration("for"), e.now, func() { e.list("ready") })
				},
			},
		},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			if c.Duration("for") <= 0 {
				return errLifetime
			}
			e.agentFor = c.Duration("for")
			ring, err := e.ring()
			if err != nil {
				return err
			}
			n, err := ring.Unlock()
			if err == nil && n == 0 {
				e.say("none of your keys has a passphrase: there is nothing to hold")
			}
			return err
		},
	}
}

func (e *env) agentClient() agent.Client {
	dir := e.xdg("XDG_RUNTIME_DIR", ".local/state")
	return agent.Client{Path: filepath.Join(dir, "agent.sock")}
}

func (e *env) agentStatus() (text string, runs bool) {
	held, until, err := e.agentClient().Status()
	if err != nil {
		return err.Error(), false
	}
	return fmt.Sprintf("the agent holds %s until %s", count(held, "key"), until.Format("15:04:05 on 2006-01-02")), true
}

// agent lets the keys package reach the agent.
func (e *env) agent() *heldKeys { return &heldKeys{e.agentClient(), e} }

type heldKeys struct {
	agent.Client
	e *env
}

// Unwrap tells what comes from the agent.
func (h *heldKeys) Unwrap(file [32]byte, stanzas []*age.Stanza) ([]byte, bool, error) {
	key, held, err := h.Client.Unwrap(file, stanzas)
	if held && err == nil {
		h.e.detail("opened by the agent")
	}
	return key, held, err
}

// Hold starts the agent first, if this run is to.
func (h *heldKeys) Hold(file [32]byte, text []byte) {
	_, _, err := h.Status()
	switch {
	case err != nil && h.e.agentFor == 0:
		return // none runs, and none is wanted
	case err != nil:
		if err := h.e.startAgent(); err != nil {
			h.e.warn("the agent does not start: %s", err)
			return
		}
	}
	if err := h.Client.Hold(file, text); err != nil {
		h.e.warn("the agent does not hold the key: %s", err)
		return
	}
	if status, runs := h.e.agentStatus(); runs {
		h.e.say("%s: leafseal agent stop ends that", status)
	}
}

// startAgent starts the agent as a process of its own, and waits until it
// listens.
func (e *env) startAgent() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"leafseal", "agent", "serve", "--for", e.agentFor.String()}, Env: withoutKeys(e.environ), Dir: filepath.VolumeName(self) + string(filepath.Separator)}
	agent.Detach(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	problem, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err == nil {
		return cmd.Process.Release()
	}
	why, _ := bufio.NewReader(problem).ReadString('\n')
	cmd.Wait()
	return fmt.Errorf("%s", printable(why))
}
