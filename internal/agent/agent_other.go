//go:build !linux && !darwin

package agent

import (
	"errors"
	"os/exec"
)

// Elsewhere there is no agent: nothing listens.

type secret struct{ bytes []byte }

func newSecret(int) (*secret, error)              { return nil, errors.ErrUnsupported }
func (*secret) wipe()                             {}
func onlyOurs(string) bool                        { return false }
func takeLock(string) (release func(), err error) { return nil, errors.ErrUnsupported }
func peerUID(int) (int, error)                    { return -1, errors.ErrUnsupported }

// Detach is not needed.
func Detach(*exec.Cmd) {}
