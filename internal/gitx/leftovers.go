package gitx

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// scissors is where the diff begins in the message file of git commit -v.
const scissors = "------------------------ >8 ------------------------"

// Leftovers names what in a repository keeps plain text of the work tree, or
// will: settings and files that are git's own, and not the filter's.
func Leftovers(dir string) ([]string, error) {
	o, err := NewObjects(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, s := range []struct{ key, text string }{
		{"commit.verbose", "git commit -v leaves a diff, in plain text, in .git/COMMIT_EDITMSG: git config commit.verbose false"},
		{"rerere.enabled", "git rerere keeps conflicts, in plain text, in .git/rr-cache: git config rerere.enabled false"},
		{"diff.leafseal.cachetextconv", "git keeps what the textconv prints, in plain text, as objects: git config --unset diff.leafseal.cachetextconv"},
	} {
		value, set, err := configured(dir, "", s.key)
		if err != nil {
			return nil, err
		}
		if set && value != "false" && value != "0" && value != "no" && value != "off" {
			found = append(found, s.text)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(o.commonDir, "rr-cache")); err == nil && len(entries) > 0 {
		found = append(found, "conflicts that git rerere kept may be plain text: rm -r "+filepath.Join(o.commonDir, "rr-cache"))
	}
	if message, err := os.ReadFile(filepath.Join(o.gitDir, "COMMIT_EDITMSG")); err == nil && bytes.Contains(message, []byte(scissors)) {
		found = append(found, "a message that git commit -v left may be plain text: rm "+filepath.Join(o.gitDir, "COMMIT_EDITMSG"))
	}
	out, err := Git(dir, "for-each-ref", "--format=%(refname)", "refs/notes/textconv")
	if refs := strings.Fields(string(out)); len(refs) > 0 {
		found = append(found, "a cache of a textconv may be plain text: git update-ref -d "+refs[0])
	}
	return found, err
}
