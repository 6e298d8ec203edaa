package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func usersCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "users",
		Usage:     "list, add or remove the people and machines of the policy",
		UsageText: "leafseal users list|add|remove|trust …",
		Description: `These edit .leafseal.yaml and keep its comments and layout. No file gains or
loses a reader until leafseal apply runs.

leafseal users add bob age1… --group backend && leafseal apply`,
		Subcommands: []*cli.Command{usersList(e), usersAdd(e), usersRemove(e), usersTrust(e)},
	}
}

func usersList(e *env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list everyone the policy knows",
		UsageText: "leafseal users list [--json]", Description: "leafseal users list --json | jq -r .[].name",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			r, err := repoAround(".")
			if err != nil {
				return err
			}
			type user struct {
				jsonReader
				Groups []string `json:"groups"`
			}
			list := []user{}
			for _, u := range r.policy.Users {
				list = append(list, user{jsonReader{u.Name, u.Key}, groupsOf(r.policy, u.Name)})
			}
			if c.Bool("json") {
				return e.listJSON(list)
			}
			for _, u := range list {
				e.list("%s  %s  %s", u.Name, u.Key, strings.Join(u.Groups, ","))
			}
			return nil
		},
	}
}

func groupsOf(p *leafseal.Policy, name string) []string {
	groups := []string{}
	for g, members := range p.Groups {
		if slices.Contains(members, name) {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	return groups
}

func usersAdd(e *env) *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "add a user, or one more key of a user",
		UsageText: "leafseal users add [--group GROUP] NAME KEY",
		Description: `KEY is an age public key, an SSH public key, or a file that holds one.

leafseal users add bob ~/Downloads/bob.pub --group backend`,
		ArgsUsage: "NAME KEY",
		Flags:     []cli.Flag{&cli.StringSliceFlag{Name: "group", Aliases: []string{"g"}, Usage: "add the user to `GROUP`"}},
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 2, "NAME", "KEY…")
			if err != nil {
				return err
			}
			name := args[0]
			key, err := publicKey(strings.Join(args[1:], " "))
			if err != nil {
				return err
			}
			r, err := e.editPolicy(func(src []byte) ([]byte, error) {
				return leafseal.AddUser(src, name, key, c.StringSlice("group")...)
			})
			if err != nil {
				return err
			}
			if err := e.learn(r.root, name, key); err != nil {
				return err
			}
			e.say("%s is a user now, with the key %s", name, key)
			if rules := rulesFor(r.policy, name); rules != "" {
				e.say("leafseal apply lets %s read %s", name, rules)
			} else {
				e.say("no rule names %s yet: add the name to a group or to a rule's \"for\", then run leafseal apply", name)
			}
			return nil
		},
	}
}

// rulesFor lists the globs of the rules that make a user a reader.
func rulesFor(p *leafseal.Policy, name string) string {
	var globs []string
	for i := range p.Files {
		if slices.ContainsFunc(p.Readers(&p.Files[i]), func(r leafseal.Reader) bool { return r.Name == name }) {
			globs = append(globs, p.Files[i].Path)
		}
	}
	return strings.Join(globs, ", ")
}

func usersRemove(e *env) *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "remove a user from users, groups and rules",
		UsageText: "leafseal users remove NAME", Description: "leafseal users remove bob && leafseal apply",
		ArgsUsage: "NAME",
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "NAME")
			if err != nil {
				return err
			}
			_, err = e.editPolicy(func(src []byte) ([]byte, error) { return leafseal.RemoveUser(src, args[0]) })
			if err != nil {
				return err
			}
			e.say("%s is no user any more; leafseal apply takes their access from the files", args[0])
			return nil
		},
	}
}

func usersTrust(e *env) *cli.Command {
	return &cli.Command{
		Name: "trust", Usage: "accept the keys that the policy gives for users, on this machine",
		UsageText: "leafseal users trust NAME…",
		Description: `Before it encrypts to a key that it does not know, leafseal asks. This answers
ahead, for programs and for git's filter. "all" means everyone.

leafseal users trust bob`,
		ArgsUsage: "NAME…",
		Action: func(c *cli.Context) error {
			accept, err := e.arguments(c, 1, "NAME…")
			if err != nil {
				return err
			}
			r, err := repoAround(".")
			if err != nil {
				return err
			}
			var readers []leafseal.Reader
			for _, name := range accept {
				before := len(readers)
				for _, u := range r.policy.Users {
					if u.Name == name || name == "all" {
						readers = append(readers, u)
					}
				}
				if len(readers) == before {
					return &leafseal.Error{Err: fmt.Errorf("%w: the policy has no user %q", leafseal.ErrPolicy, name)}
				}
			}
			if err := e.trust(r.root, readers, accept); err != nil {
				return err
			}
			for _, u := range readers {
				e.say("%s is %s", u.Name, u.Key)
			}
			return nil
		},
	}
}

// editPolicy changes the policy around the current folder.
func (e *env) editPolicy(edit func([]byte) ([]byte, error)) (*repo, error) {
	r, err := repoAround(".")
	if err != nil {
		return nil, err
	}
	was := r.src
	if r.src, err = edit(was); err != nil {
		return nil, err
	}
	if r.policy, err = leafseal.ParsePolicy(r.src); err != nil {
		return nil, err
	}
	return r, e.write(filepath.Join(r.root, leafseal.PolicyFile), was, r.src)
}
