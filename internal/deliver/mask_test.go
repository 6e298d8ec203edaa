package deliver

import (
	"bytes"
	"strings"
	"testing"
)

func mask(t testing.TB, values []string, parts ...string) string {
	t.Helper()
	var out bytes.Buffer
	m := NewMask(&out, values)
	for _, p := range parts {
		if n, err := m.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestMask(t *testing.T) {
	values := []string{"hunter2", "hunter2-longer", "abc", "line one\n  line two\n", "aaaa", "  padded  "}
	for _, c := range []struct{ in, want string }{
		{"nothing", "nothing"},
		{"", ""},
		{"a hunter2!", "a *****!"},
		{"hunter2-longer", "*****"},
		{"hunter2-long", "*****-long"},
		{"hunter", "hunter"}, // the end decides
		{"abc", "abc"},       // too short
		{"x line two y", "x ***** y"},
		{"line one\n  line two\n", "*****\n"},
		{"line one\n", "*****\n"},
		{"aaaaaaaab", "**********b"},
		{"hunhunter2", "hun*****"},
		{"a  padded  b", "a*****b"},
		{"padded", "*****"},
	} {
		if got := mask(t, values, c.in); got != c.want {
			t.Errorf("%q became %q, not %q", c.in, got, c.want)
		}
		if got := mask(t, values, strings.Split(c.in, "")...); got != c.want {
			t.Errorf("%q byte by byte became %q, not %q", c.in, got, c.want)
		}
	}
}

// However the output is cut, the same is written, and no value is in it.
func FuzzMask(f *testing.F) {
	f.Add("secret", "xsecretx", uint8(3))
	f.Add("aaaa", "aaaaaaa", uint8(1))
	f.Add("abab\nabcd", "ababab abcd", uint8(5))
	f.Fuzz(func(t *testing.T, value, text string, cut uint8) {
		if strings.Contains(Masked, value) || strings.Contains(value, "*") {
			return
		}
		at := min(int(cut), len(text))
		whole := mask(t, []string{value}, text)
		if parts := mask(t, []string{value}, text[:at], text[at:]); parts != whole {
			t.Fatalf("%q and %q", whole, parts)
		}
		if len(value) >= minMasked && strings.Contains(whole, value) && strings.TrimRight(value, "\r\n") == value {
			t.Fatalf("%q is still in %q", value, whole)
		}
	})
}
