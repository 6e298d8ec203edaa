package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// ansibleTool reads files of ansible-vault, and YAML files with values of its.
func (e *env) ansibleTool(keyFile string) foreignTool {
	password := sync.OnceValues(func() ([]byte, error) { return e.vaultPassword(keyFile) })
	return foreignTool{
		name:  "ansible-vault",
		wrote: func(_ string, src []byte) bool { return migrate.Ansible(src) },
		not:   errors.New("ansible-vault did not encrypt it, nor a value in it"),
		open: func(path string, src []byte) (*migrate.Document, error) {
			password, err := password()
			if err != nil {
				return nil, err
			}
			return migrate.OpenAnsible(src, leafseal.FormatOf(path), password)
		},
	}
}

// vaultPassword is the password in a file, or in the file that ansible's own
// variable names, or what a person types.
func (e *env) vaultPassword(keyFile string) ([]byte, error) {
	if keyFile == "" {
		keyFile = e.getenv("ANSIBLE_VAULT_PASSWORD_FILE")
	}
	if keyFile == "" {
		text, err := e.ask("ansible-vault's password:", true)
		if errors.Is(err, errNoTerminal) {
			return nil, usagef("ansible-vault's password is needed: --key FILE, or $ANSIBLE_VAULT_PASSWORD_FILE")
		}
		if err != nil {
			return nil, err
		}
		return migrate.AnsiblePassword([]byte(text))
	}
	if info, err := os.Stat(keyFile); err == nil && keyFile != "-" && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return nil, &leafseal.Error{File: keyFile, Err: errors.New("ansible would run this file to get the password, and leafseal runs none"), Hint: fmt.Sprintf("send what it prints to --key -, or, if it holds the password: chmod a-x %s", keyFile)}
	}
	return foreignKey(e, keyFile, migrate.AnsiblePassword)
}

// warnAnsible says what no longer works.
func (e *env) warnAnsible(all []*imported) {
	for _, f := range all {
		if f.from == "ansible-vault" {
			e.warn("ansible does not read leafseal's files by itself: hand them to it in the clear (leafseal exec --file); who has the vault's password reads every version that git's history keeps")
			return
		}
	}
}
