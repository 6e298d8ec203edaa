// Package keys reads recipients and finds and unlocks identities: age's own,
// SSH keys and plugins. It reads no environment variable and knows no default
// place: the caller names them, and the way to ask a person.
package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"filippo.io/age/tag"
	"golang.org/x/crypto/ssh"
)

// UI asks the person. A nil function means that nobody is there.
type UI struct {
	// Passphrase asks for a secret, with echo off.
	Passphrase func(prompt string) ([]byte, error)
	// Ask asks for something that may be seen.
	Ask func(prompt string) (string, error)
	// Tell shows a line.
	Tell func(text string)
}

// ParseRecipient reads an age recipient (X25519, hybrid, tag, plugin) or an
// SSH public key (ssh-ed25519, ssh-rsa). Passphrases are no recipients of
// files: they would be shared by everyone. ui serves plugins; it may be nil.
func ParseRecipient(key string, ui *UI) (age.Recipient, error) {
	key = strings.TrimSpace(key)
	var r age.Recipient
	var err error
	switch {
	case strings.HasPrefix(key, "ssh-"):
		r, err = agessh.ParseRecipient(key)
	case strings.HasPrefix(key, "age1pq1"):
		r, err = age.ParseHybridRecipient(key)
	case strings.HasPrefix(key, "age1tag1"), strings.HasPrefix(key, "age1tagpq1"):
		r, err = tag.ParseRecipient(key)
	case strings.HasPrefix(key, "age1") && strings.Count(key, "1") > 1 && isPlugin(key):
		r, err = plugin.NewRecipient(key, ui.client())
	case strings.HasPrefix(key, "age1"):
		r, err = age.ParseX25519Recipient(key)
	case strings.HasPrefix(key, "AGE-SECRET-KEY-"), strings.HasPrefix(key, "AGE-PLUGIN-"), strings.Contains(key, "PRIVATE KEY"):
		return nil, errors.New("this is a secret key where a public one belongs")
	default:
		return nil, errors.New("not an age recipient (age1…) nor an SSH public key (ssh-ed25519 …, ssh-rsa …)")
	}
	if err != nil {
		return nil, errors.New("the public key is malformed, or of a kind that cannot be encrypted to")
	}
	return r, nil
}

func isPlugin(key string) bool {
	_, _, err := plugin.ParseRecipient(key)
	return err == nil
}

// Canonical returns the one spelling of a recipient that files record: an SSH
// key loses its comment.
func Canonical(key string) (string, error) {
	key = strings.TrimSpace(key)
	if _, err := ParseRecipient(key, nil); err != nil {
		return "", err
	}
	if !strings.HasPrefix(key, "ssh-") {
		return key, nil
	}
	pub, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil || len(rest) > 0 {
		return "", errors.New("this is not one SSH public key")
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))), nil
}

// StanzaTypes returns the type of the stanza that age writes for a recipient,
// and for SSH keys its first argument, the fingerprint (C2SP age-ssh). ok is
// false for plugins, which choose the type.
func StanzaTypes(key string) (typ, arg string, ok bool) {
	switch {
	case strings.HasPrefix(key, "ssh-"):
		pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
		if err != nil {
			return "", "", false
		}
		h := sha256.Sum256(pub.Marshal())
		return pub.Type(), base64.RawStdEncoding.EncodeToString(h[:4]), true
	case strings.HasPrefix(key, "age1pq1"):
		return "mlkem768x25519", "", true
	case strings.HasPrefix(key, "age1tag1"):
		return "p256tag", "", true
	case strings.HasPrefix(key, "age1tagpq1"):
		return "mlkem768p256tag", "", true
	case isPlugin(key):
		return "", "", false
	}
	return "X25519", "", true
}

// client is what a plugin may ask of the person.
func (ui *UI) client() *plugin.ClientUI {
	if ui == nil {
		ui = &UI{}
	}
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error {
			if ui.Tell == nil {
				return ErrLocked
			}
			ui.Tell(fmt.Sprintf("age-plugin-%s: %s", name, message))
			return nil
		},
		RequestValue: func(name, prompt string, secret bool) (string, error) {
			prompt = fmt.Sprintf("age-plugin-%s: %s:", name, prompt)
			switch {
			case secret && ui.Passphrase != nil:
				p, err := ui.Passphrase(prompt)
				return string(p), err
			case !secret && ui.Ask != nil:
				return ui.Ask(prompt)
			}
			return "", ErrLocked
		},
		Confirm: func(name, prompt, yes, no string) (bool, error) {
			if ui.Ask == nil {
				return false, ErrLocked
			}
			answer, err := ui.Ask(fmt.Sprintf("age-plugin-%s: %s [%s/%s]:", name, prompt, yes, no))
			return err == nil && strings.EqualFold(strings.TrimSpace(answer), yes), err
		},
		WaitTimer: func(name string) {
			if ui.Tell != nil {
				ui.Tell(fmt.Sprintf("waiting for age-plugin-%s (touch the key?)", name))
			}
		},
	}
}
