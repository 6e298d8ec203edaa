package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNames: every test that SECURITY.md names is there.
func TestSecurityNames(t *testing.T) {
	page, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	err = filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)`).FindAllSubmatch(src, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*|\bscript/[a-z_]+`).FindAllString(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("only %d names found", len(named))
	}
	for _, name := range named {
		if script, ok := strings.CutPrefix(name, "script/"); ok {
			if script == "x" { // the example in the text
				continue
			}
			if _, err := os.Stat(filepath.Join("../../testdata/script", script+".txtar")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !have[name] {
			t.Errorf("there is no %s", name)
		}
	}
}
