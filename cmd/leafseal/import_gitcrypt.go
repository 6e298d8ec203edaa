package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// gitCryptKey reads a key file of git-crypt; without a name, the one that
// git-crypt unlock keeps in the repository.
func (e *env) gitCryptKey(path string) (*migrate.GitCryptKeys, error) {
	if path == "" {
		out, err := git(".", "rev-parse", "--git-common-dir")
		if path = filepath.Join(strings.TrimSpace(string(out)), "git-crypt", "keys", "default"); err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return nil, usagef("--from git-crypt needs --key FILE, which git-crypt export-key writes")
		}
	}
	return foreignKey(e, path, migrate.ReadGitCryptKey)
}

// gitCryptTool reads files of git-crypt.
func (e *env) gitCryptTool(keyFile string) foreignTool {
	key := sync.OnceValues(func() (*migrate.GitCryptKeys, error) { return e.gitCryptKey(keyFile) })
	return foreignTool{
		name:  "git-crypt",
		wrote: func(_ string, src []byte) bool { return migrate.GitCrypt(src) },
		not:   errors.New("git-crypt did not encrypt it, or it is unlocked"),
		open: func(path string, src []byte) (*migrate.Document, error) {
			key, err := key()
			if err != nil {
				return nil, err
			}
			return migrate.OpenGitCrypt(src, leafseal.FormatOf(path), key)
		},
	}
}

// warnAttributes names the files that git would still hand to git-crypt.
func (e *env) warnAttributes(all []*imported) {
	for _, f := range all {
		if f.from != "git-crypt" {
			continue
		}
		out, err := git(filepath.Dir(f.path), "check-attr", "-z", "filter", "--", filepath.Base(f.path))
		if err == nil && strings.Contains(string(out), "\x00git-crypt") {
			e.warn("%s: .gitattributes still gives it to git-crypt, which would encrypt it once more: take filter=git-crypt out before you add it", f.path)
		}
	}
}
