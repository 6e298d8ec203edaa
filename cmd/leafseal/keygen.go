package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func keygenCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "keygen",
		Usage:     "make a key pair",
		UsageText: "leafseal keygen [FLAG…]",
		Description: `Writes an age identity, the private key, to a new file that only you can read,
and prints its public key. A file that is there already is never replaced.

leafseal keygen
leafseal keygen --passphrase -o ~/keys/work`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the private key to `FILE` (default: where leafseal looks for it; \"-\": standard output)"},
			&cli.BoolFlag{Name: "pq", Usage: "make a post-quantum hybrid key"},
			&cli.BoolFlag{Name: "passphrase", Usage: "protect the file with a passphrase"},
		},
		Action: func(c *cli.Context) error {
			if _, err := e.arguments(c, 0); err != nil {
				return err
			}
			path := e.identityPath()
			if c.IsSet("output") {
				path = c.String("output")
			}
			public, err := e.keygen(path, c.Bool("pq"), c.Bool("passphrase"))
			if err == nil && path != "-" {
				e.list("%s", public)
				e.say("the private key is in %s: keep it, back it up, give it to nobody", path)
			}
			return err
		},
	}
}

// keygen makes an identity at path and returns its public key.
func (e *env) keygen(path string, pq, protect bool) (string, error) {
	data, public, err := keys.Generate(pq, e.now())
	if err != nil {
		return "", err
	}
	if protect {
		passphrase, err := e.newPassphrase()
		if err != nil {
			return "", err
		}
		if data, err = keys.Protect(data, []byte(passphrase)); err != nil {
			return "", err
		}
	}
	if path == "-" {
		_, err := e.stdout.Write(data)
		return public, err
	}
	if err := keys.WriteNew(path, data); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = &leafseal.Error{File: path, Err: errors.New("there is such a file already, and a key is never replaced"), Hint: "leafseal keygen -o OTHER-FILE"}
		}
		return "", err
	}
	if protect { // then the file does not tell it
		return public, keys.WriteNew(path+".pub", []byte(public+"\n"))
	}
	return public, nil
}

// newPassphrase asks for a passphrase, twice.
func (e *env) newPassphrase() (string, error) {
	first, err := e.ask("new passphrase:", true)
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", fmt.Errorf("%w: an empty passphrase protects nothing", errCancelled)
	}
	again, err := e.ask("the same again:", true)
	if err == nil && again != first {
		err = errors.New("the two passphrases differ; nothing was written")
	}
	return first, err
}
