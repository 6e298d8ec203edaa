package gitx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

const (
	attributesBegin = "# leafseal: from .leafseal.yaml, kept in step by leafseal init"
	attributesEnd   = "# leafseal: end"
)

// Attributes returns a .gitattributes file with our lines for the rules of a
// policy in it, or brought up to date; the rest stays as it is. An error names
// a rule that gitattributes(5) cannot say.
func Attributes(old []byte, policy *leafseal.Policy) ([]byte, error) {
	lines := []string{attributesBegin}
	for _, rule := range slices.Backward(policy.Files) { // there, the last match wins
		patterns, err := attributePatterns(rule.Path)
		if err != nil {
			return nil, err
		}
		filter := "-filter" // ciphertext stays in the work tree
		if rule.Plain {
			filter = "filter=leafseal"
		}
		for _, p := range patterns {
			lines = append(lines, p+" "+filter+" diff=leafseal merge=leafseal -text")
		}
	}
	lines = append(lines, attributesEnd)
	ours := strings.Join(lines, "\n") + "\n"
	text := string(old)
	begin := strings.Index(text, attributesBegin+"\n")
	end := strings.Index(text, attributesEnd+"\n")
	if begin >= 0 && end > begin {
		return []byte(text[:begin] + ours + text[end+len(attributesEnd)+1:]), nil
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return []byte(text + ours), nil
}

// attributePatterns writes a policy's glob as gitattributes(5) has it: no
// braces, and anchored by a slash.
func attributePatterns(glob string) ([]string, error) {
	var patterns []string
	for _, p := range expandBraces(glob) {
		if strings.ContainsAny(p, "{}\\") || strings.Contains(p, "[^") {
			return nil, fmt.Errorf("the path %q cannot be written in .gitattributes", glob)
		}
		if !strings.Contains(p, "/") {
			p = "/" + p
		}
		if strings.ContainsAny(p, " \t\"") || strings.HasPrefix(p, "#") || strings.HasPrefix(p, "!") {
			p = `"` + strings.ReplaceAll(p, `"`, `\"`) + `"`
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// expandBraces writes out the first {a,b} and all behind it.
func expandBraces(glob string) []string {
	open := strings.IndexByte(glob, '{')
	if open < 0 {
		return []string{glob}
	}
	depth, from := 0, open+1
	var parts []string
	for i := open; i < len(glob); i++ {
		switch glob[i] {
		case '{':
			depth++
		case ',':
			if depth == 1 {
				parts, from = append(parts, glob[from:i]), i+1
			}
		case '}':
			if depth--; depth == 0 {
				var all []string
				for _, part := range append(parts, glob[from:i]) {
					all = append(all, expandBraces(glob[:open]+part+glob[i+1:])...)
				}
				return all
			}
		}
	}
	return []string{glob}
}
