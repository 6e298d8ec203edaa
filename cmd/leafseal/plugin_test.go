package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// demoPlugin is a real age plugin, age-plugin-demo: X25519 under another
// stanza type, with a PIN. With -generate it prints a key pair.
func demoPlugin() {
	p, err := plugin.New("demo")
	if err != nil {
		panic(err)
	}
	p.RegisterFlags(nil)
	generate := flag.Bool("generate", false, "print an identity and its recipient")
	flag.Parse()
	if *generate {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			panic(err)
		}
		fmt.Printf("# public key: %s\n%s\n", plugin.EncodeRecipient("demo", []byte(id.Recipient().String())), plugin.EncodeIdentity("demo", []byte(id.String())))
		return
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		to, err := age.ParseX25519Recipient(string(data))
		return demoRecipient{to}, err
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		id, err := age.ParseX25519Identity(string(data))
		return demoIdentity{p, id}, err
	})
	os.Exit(p.Main())
}

type demoRecipient struct{ age.Recipient }

func (r demoRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, err := r.Recipient.Wrap(fileKey)
	for _, s := range stanzas {
		s.Type = "demo"
	}
	return stanzas, err
}

type demoIdentity struct {
	p  *plugin.Plugin
	id age.Identity
}

func (i demoIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	var mine []*age.Stanza
	for _, s := range stanzas {
		if s.Type == "demo" {
			mine = append(mine, &age.Stanza{Type: "X25519", Args: s.Args, Body: s.Body})
		}
	}
	if len(mine) == 0 {
		return nil, age.ErrIncorrectIdentity
	}
	if pin, err := i.p.RequestValue("PIN", true); err != nil || pin != "1234" {
		return nil, errors.New("the PIN is wrong")
	}
	return i.id.Unwrap(mine)
}
