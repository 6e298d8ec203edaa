package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// sopsTool reads files of sops. Identities are looked for once.
func (e *env) sopsTool(format string) foreignTool {
	ids := sync.OnceValues(e.sopsIdentities)
	return foreignTool{
		name: "sops",
		wrote: func(path string, src []byte) bool {
			text := format != "" || sopsFormat(path, src) != "binary" || bytes.HasPrefix(bytes.TrimSpace(src), []byte("{"))
			return text && migrate.Sops(src) // else a text about sops, maybe
		},
		not: errors.New("not a file of sops: there is no MAC in it"),
		open: func(path string, src []byte) (*migrate.Document, error) {
			ids, err := ids()
			if err != nil {
				return nil, err
			}
			as := format
			if as == "" {
				as = sopsFormat(path, src)
			}
			return migrate.OpenSops(src, as, ids...)
		},
	}
}

// sopsIdentities are leafseal's, and those that sops would find.
func (e *env) sopsIdentities() ([]age.Identity, error) {
	ids, err := e.identities()
	if err != nil || len(e.identityFiles) > 0 {
		return ids, err
	}
	if text := e.getenv("SOPS_AGE_KEY"); text != "" {
		more, err := age.ParseIdentities(strings.NewReader(text))
		if err != nil {
			return nil, errors.New("$SOPS_AGE_KEY holds no age identity")
		}
		ids = append(ids, more...)
	}
	config := e.getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(e.home(), ".config")
	}
	for _, path := range []string{e.getenv("SOPS_AGE_KEY_FILE"), filepath.Join(config, "sops", "age", "keys.txt")} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		ring, err := keys.Find(keys.Sources{Files: []string{path}}, e.keyUI())
		if err != nil {
			return nil, err
		}
		ids = append(ids, ring.Identities()...)
	}
	return ids, nil
}

// sopsFormat is the format in which sops reads a file of this name.
func sopsFormat(path string, src []byte) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return "yaml"
	case ".json":
		return "json"
	case ".ini":
		return "ini"
	}
	if leafseal.FormatOf(path) == "dotenv" && !bytes.HasPrefix(bytes.TrimSpace(src), []byte("{")) {
		return "dotenv"
	}
	return "binary"
}
