package gitx

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/private"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Sides are the three versions of a merge, as git has them. Base is empty if
// both sides added the file.
type Sides struct{ Base, Ours, Theirs []byte }

// Merge merges three versions of a file and returns what git is to store,
// which is ciphertext whenever a side is: a conflict is sealed with its
// markers, as text. Plaintext is merged by git itself, in folder, which must
// be in memory. err is set if a side does not open; then out is nil.
func Merge(folder *private.Folder, path string, s Sides, marker int, ids []age.Identity) (out []byte, conflict bool, err error) {
	o := Options(path)
	var files [3]*leafseal.File
	var plain [3][]byte
	for i, src := range [][]byte{s.Base, s.Ours, s.Theirs} {
		f, err := leafseal.Open(src, o, ids...)
		switch {
		case err == nil:
			files[i], plain[i] = f, f.Plaintext()
		case errors.Is(err, leafseal.ErrNotEncrypted):
			plain[i] = src
		default:
			return nil, false, err
		}
	}
	merged, conflict, err := MergeText(folder, plain, marker)
	if err != nil {
		return nil, false, err
	}
	target, err := mergeFiles(files[0], files[1], files[2])
	if err != nil {
		return nil, false, err
	}
	if target == nil {
		return merged, conflict, nil // it is plain text in git
	}
	if len(merged) == 0 {
		return nil, conflict, nil
	}
	if !conflict && Update(target, o, merged) != nil {
		conflict = true // what git merged is no document: say, a key twice
	}
	if conflict {
		err = target.As("text", merged)
	}
	return target.Bytes(), conflict, err
}

// MergeText merges as git merge-file does, with git's own configuration.
func MergeText(folder *private.Folder, plain [3][]byte, marker int) (merged []byte, conflict bool, err error) {
	var paths [3]string
	for i, name := range []string{"base", "ours", "theirs"} {
		if paths[i], err = folder.Write(name, plain[i]); err != nil {
			return nil, false, err
		}
	}
	args := []string{"merge-file", "-p", "-q", "-L", "ours", "-L", "base", "-L", "theirs"}
	if marker > 0 {
		args = append(args, "--marker-size="+strconv.Itoa(marker))
	}
	cmd := exec.Command("git", append(args, paths[1], paths[0], paths[2])...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	merged, err = cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() < 128 {
		return merged, true, nil
	}
	if err != nil { // binary content, say
		return nil, false, fmt.Errorf("git merge-file cannot merge this: %w", err)
	}
	return merged, false, nil
}

// mergeFiles returns the file that holds a merge: with the readers and the
// rule that both sides agree on, and nothing in clear that a side has sealed.
// It is nil if neither side is encrypted.
func mergeFiles(base, ours, theirs *leafseal.File) (*leafseal.File, error) {
	switch {
	case ours == nil:
		return theirs, nil
	case theirs == nil:
		return ours, nil
	}
	target, other := ours, theirs
	if base != nil && ours.ID() == base.ID() && theirs.ID() != base.ID() {
		target, other = theirs, ours // they made a new data key
	}
	if err := target.KeepSealed(other); err != nil {
		return nil, err
	}
	if target.Rule() != other.Rule() && base != nil && target.Rule() == base.Rule() {
		if err := target.SetRule(other.Rule()); err != nil {
			return nil, err
		}
	}
	return target, target.SetReaders(mergeReaders(base, target, other))
}

// mergeReaders keeps whom both sides have, and whom one has added; whom one
// has removed is gone.
func mergeReaders(base, target, other *leafseal.File) []leafseal.Reader {
	has := func(f *leafseal.File, r leafseal.Reader) bool {
		return f != nil && slices.ContainsFunc(f.Readers(), func(o leafseal.Reader) bool { return o.Key == r.Key })
	}
	var readers []leafseal.Reader
	for _, r := range target.Readers() {
		if has(other, r) || !has(base, r) {
			readers = append(readers, r)
		}
	}
	for _, r := range other.Readers() {
		if !has(target, r) && !has(base, r) {
			readers = append(readers, r)
		}
	}
	return readers
}
