package main

import (
	"errors"
	"os"
	"strings"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

var errPrivate = errors.New("this is a private key: it must not be given away")

// publicKey reads a public key as a person gives it: the key itself, or a
// file that holds it.
func publicKey(arg string) (string, error) {
	text := arg
	if src, err := os.ReadFile(arg); err == nil {
		text = string(src)
	}
	if upper := strings.ToUpper(text); strings.Contains(upper, "AGE-SECRET-KEY-") || strings.Contains(upper, "AGE-PLUGIN-") || strings.Contains(upper, "PRIVATE KEY") {
		return "", &leafseal.Error{Err: errPrivate, Hint: "give the public key: age1…, or the line of an SSH key's .pub file"}
	}
	var found []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		return "", usagef("%q is neither a public key nor a file that holds one", arg)
	}
	key, err := keys.Canonical(found[0])
	if err != nil {
		return "", usagef("%q is neither a public key nor a file that holds one: %w", arg, err)
	}
	return key, nil
}

// readersTo reads the values of --to.
func readersTo(to []string) ([]leafseal.Reader, error) {
	var readers []leafseal.Reader
	for _, arg := range to {
		var r leafseal.Reader
		if name, rest, ok := strings.Cut(arg, "="); ok && leafseal.ValidName(name) {
			if _, err := os.Stat(arg); err != nil { // not a file whose name has a "="
				r.Name, arg = name, rest
			}
		}
		key, err := publicKey(arg)
		if err != nil {
			return nil, err
		}
		r.Key = key
		readers = append(readers, r)
	}
	return readers, nil
}
