package leafseal_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The arrows of the architecture: what each package must not know.
func TestArrows(t *testing.T) {
	const module = "github.com/leafseal/leafseal/"
	cli := []string{"github.com/urfave/cli/v2"}
	for pkg, never := range map[string][]string{
		"internal/span":    {module + "internal/seal", module + "internal/keys", "filippo.io/age", "os", "golang.org/x/crypto/chacha20poly1305"},
		"internal/seal":    {module + "internal/span", module + "internal/keys", "gopkg.in/yaml.v3", "encoding/json"},
		"internal/keys":    append(cli, module+"pkg/leafseal", module+"internal/span", module+"internal/seal"),
		"internal/atomic":  append(cli, module+"pkg/leafseal", module+"internal/span", module+"internal/seal", module+"internal/keys"),
		"internal/gitx":    append(cli, module+"cmd/leafseal"),
		"internal/private": append(cli, module+"pkg/leafseal", module+"internal/span", module+"internal/seal", module+"internal/keys"),
		"internal/agent":   append(cli, module+"pkg/leafseal", module+"internal/span", module+"internal/seal"),
		"internal/deliver": append(cli, module+"pkg/leafseal", module+"internal/seal", module+"internal/keys"),
		"pkg/leafseal":     append(cli, module+"internal/gitx", module+"internal/atomic", module+"internal/private", module+"cmd/leafseal"),
		"internal/migrate": append(cli, module+"pkg/leafseal", module+"internal/seal", "github.com/getsops/sops/v3"),
	} {
		args := []string{"list", "-deps", module + pkg}
		if pkg == "internal/span" {
			args = []string{"list", "-f", `{{join .Imports "\n"}}`, module + pkg}
		}
		out, err := exec.Command("go", args...).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		deps := strings.Fields(string(out))
		for _, n := range never {
			if slices.Contains(deps, n) {
				t.Errorf("%s depends on %s", pkg, n)
			}
		}
	}
}
