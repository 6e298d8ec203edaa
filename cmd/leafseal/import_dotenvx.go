package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/leafseal/leafseal/internal/migrate"
)

const dotenvxKeys = ".env.keys" // where dotenvx keeps private keys, beside the file

// dotenvxTool reads files of dotenvx.
func (e *env) dotenvxTool(keyFile string) foreignTool {
	return foreignTool{
		name:  "dotenvx",
		wrote: func(_ string, src []byte) bool { return migrate.Dotenvx(src) },
		not:   errors.New("no value in it is encrypted by dotenvx"),
		open: func(path string, src []byte) (*migrate.Document, error) {
			keys, err := e.dotenvxKeys(keyFile, path, src)
			if err != nil {
				return nil, err
			}
			return migrate.OpenDotenvx(src, keys)
		},
	}
}

// dotenvxKeys are the private keys in a file; without a name, in the variable
// that dotenvx would take them from, or in .env.keys beside the file.
func (e *env) dotenvxKeys(keyFile, path string, src []byte) ([]migrate.DotenvxKey, error) {
	name := migrate.DotenvxKeyName(src, path)
	if text := e.getenv(name); keyFile == "" && text != "" {
		return migrate.ParseDotenvxKeys(name, text)
	}
	if keyFile == "" {
		keyFile = filepath.Join(filepath.Dir(path), dotenvxKeys)
		if _, err := os.Stat(keyFile); err != nil {
			return nil, usagef("%s needs its private key: --key %s, or $%s", path, dotenvxKeys, name)
		}
	}
	return foreignKey(e, keyFile, migrate.ReadDotenvxKeys)
}

// warnDotenvx says what is left to do once no file is dotenvx's any more.
func (e *env) warnDotenvx(all []*imported) {
	dirs := map[string]bool{}
	for _, f := range all {
		dir := filepath.Dir(f.path)
		if f.from != "dotenvx" || dirs[dir] {
			continue
		}
		dirs[dir] = true
		path := filepath.Join(dir, dotenvxKeys)
		if _, err := os.Stat(path); err != nil {
			path = dotenvxKeys
		}
		e.warn("delete %s, and DOTENV_PRIVATE_KEY… where CI and servers have it: who has it reads every version that git's history keeps", path)
		if _, err := git(dir, "ls-files", "--error-unmatch", "--", dotenvxKeys); err == nil {
			e.warn("%s is in git: all values that it opens are lost, so change them at their source", path)
		}
	}
}
