package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func initCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "find or make your key, and write the policy",
		UsageText: "leafseal init [FLAG…]",
		Description: `Writes .leafseal.yaml at the root of the git repository, with you as the only
reader of the usual places for secrets. Uses the key that leafseal finds, or
makes one as leafseal keygen does. Where there is a policy already, it stays,
and git is set up for it: .gitattributes is brought in step.

leafseal init --name alice`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "name", Usage: "call yourself `NAME` in the policy (default: from git, or $USER)"}},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			root := gitRoot(".")
			if root == "" {
				root = "."
			}
			name, err := e.userName(c.String("name"), root)
			if err != nil {
				return err
			}
			path := filepath.Join(root, leafseal.PolicyFile)
			if r, err := repoOf(path); err != nil {
				return err
			} else if r != nil {
				return e.already(r, name)
			}
			key, from, err := e.ownKey()
			if err == nil && key == "" {
				from = "made your private key in " + e.identityPath() + ": keep it, back it up, give it to nobody"
				key, err = e.keygen(e.identityPath(), false, false)
			}
			if err != nil {
				return err
			}
			policy := fmt.Sprintf(policyTemplate, name, key)
			if _, err := leafseal.ParsePolicy([]byte(policy)); err != nil {
				return err
			}
			if err := writePolicy(path, policy); err != nil {
				return err
			}
			if path, err = filepath.Abs(path); err != nil {
				return err
			}
			e.say("%s", from)
			e.say("made %s, with %s as the reader of the usual places", path, name)
			if err := e.learn(filepath.Dir(path), name, key); err != nil {
				return err
			}
			if err := e.initGit(); err != nil {
				return err
			}
			return e.sayNext(root)
		},
	}
}

// initGit sets up git, if this is in a repository. What others have written
// there stays.
func (e *env) initGit() error {
	r, err := repoAround(".")
	if err != nil || gitRoot(r.root) == "" {
		return err
	}
	if err := gitx.Install(".", "--global"); errors.Is(err, gitx.ErrForeign) {
		e.warn("%v", err)
	} else if err != nil {
		return err
	} else {
		e.say("git knows leafseal's filter, diff and merge (git config --global)")
	}
	return e.setUpRepository(r)
}

const policyTemplate = `# Who can read which secrets: https://github.com/leafseal/leafseal
# Changes take effect with: leafseal apply

users:
  %[1]s: %[2]s

files: # the first rule that matches a file is its rule
  - path: "**/{.env,*.env}"
    for: [%[1]s]
  - path: "**/.env.{local,dev,test,stag,prod}*" # not .env.example
    for: [%[1]s]
  - path: "**/*{secret,secrets}.{yaml,yml,json,jsonc,toml,ini}"
    for: [%[1]s]
  - path: "**/secrets/**/*.{yaml,yml,json,jsonc,toml,ini,env}"
    for: [%[1]s]
`

// sayNext names the commands that come next in this repository.
func (e *env) sayNext(root string) error {
	_, files, err := candidates([]string{root})
	if err != nil {
		return err
	}
	first := "leafseal edit secrets.yaml    a new or existing file, in your editor, in memory only"
	if len(files) > 0 && files[0].info == nil {
		first = "leafseal encrypt " + files[0].path + "    it is plain text now"
		if tool := e.wroteForeign(files[0].path, files[0].src); tool != "" {
			first = "leafseal import " + files[0].path + "    it is a file of " + tool + " now"
		}
	}
	e.say("next:\n  %s\n  leafseal status    what is sealed, and to whom", first)
	return nil
}

// ownKey finds the person's public key; from says where. It is empty if there
// is none.
func (e *env) ownKey() (key, from string, err error) {
	ring, err := e.ring()
	if err != nil {
		return "", "", err
	}
	for _, p := range ring.Places {
		one := keys.Sources{Files: []string{p.Path}}
		if p.Path == "" {
			one = keys.Sources{Key: e.getenv("LEAFSEAL_IDENTITY")}
		}
		found, err := keys.Find(one, nil)
		if err != nil {
			continue
		}
		all := found.PublicKeys()
		if pub, err := os.ReadFile(p.Path + ".pub"); err == nil && len(all) == 0 { // protected by a passphrase
			all = append(all, string(pub))
		}
		if len(all) > 0 {
			key, err := keys.Canonical(all[0])
			return key, "using your key " + key + " from " + strings.TrimSpace(p.What+" "+p.Path), err
		}
	}
	if len(ring.Identities()) > 0 {
		return "", "", &leafseal.Error{Err: errors.New("you have a key, but it does not tell its public key"), Hint: "put the public key into a file of the same name with .pub behind it"}
	}
	return "", "", nil
}

// already sets git up for a policy that is there, which stays, and says how to
// join.
func (e *env) already(r *repo, name string) error {
	if err := e.initGit(); err != nil {
		return err
	}
	err := &leafseal.Error{File: filepath.Join(r.root, leafseal.PolicyFile), Err: errors.New("there is a policy already"), Hint: "leafseal users add, then leafseal apply, lets others read"}
	key, _, keyErr := e.ownKey()
	switch known := slices.IndexFunc(r.policy.Users, func(u leafseal.Reader) bool { return u.Key == key }); {
	case keyErr != nil:
	case key == "":
		err.Hint = "to join, run leafseal keygen, and let someone who can read the files run: leafseal users add " + name + " PUBLIC-KEY && leafseal apply"
	case known >= 0:
		e.say("%s is there already, and you are in it, as %s", err.File, r.policy.Users[known].Name)
		return nil
	default:
		err.Hint = "to join, let someone who can read the files run: leafseal users add " + name + " '" + key + "' && leafseal apply"
	}
	return err
}

// userName is what the person is called in the policy.
func (e *env) userName(flag, root string) (string, error) {
	if flag != "" {
		if !leafseal.ValidName(flag) {
			return "", usagef("%.70q cannot be a name: letters, digits and ._@+- are allowed, up to 64", flag)
		}
		return flag, nil
	}
	full, _ := git(root, "config", "user.name")
	mail, _ := git(root, "config", "user.email")
	local, _, _ := strings.Cut(string(mail), "@")
	for _, s := range []string{string(full), local, e.getenv("USER"), e.getenv("LOGNAME")} {
		words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9') })
		if name := strings.Join(words, "-"); leafseal.ValidName(name) {
			return name, nil
		}
	}
	return "", usagef("neither git nor $USER tells your name: say --name NAME")
}

// writePolicy makes the policy; unlike secrets, everyone may read it.
func writePolicy(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
