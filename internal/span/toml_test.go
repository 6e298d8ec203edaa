package span

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// treeTOML is what go-toml, which reads TOML 1.1 too, makes of a document.
// Unlike leafseal it refuses a byte order mark.
func treeTOML(src []byte) (tree map[string]any, err error) {
	err = toml.Unmarshal(bytes.TrimPrefix(src, []byte(bom)), &tree)
	return tree, err
}

// tomlShape writes the keys and lists of go-toml's tree. Every value looks
// the same, and so does an empty list or table, unless it has a header: those
// look the same in both documents that are compared.
func tomlShape(v any) string {
	var items []string
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			items = append(items, fmt.Sprintf("%q: %s", key, tomlShape(item)))
		}
		slices.Sort(items)
	case []any:
		for _, item := range v {
			items = append(items, tomlShape(item))
		}
	}
	if len(items) == 0 {
		return "value"
	}
	return "(" + strings.Join(items, ", ") + ")"
}

// agree holds TOML.Find and LoadTOML to what go-toml reads.
func agree(t testing.TB, src []byte) {
	t.Helper()
	root, err := LoadTOML(src)
	tree, libraryErr := treeTOML(src)
	if err != nil {
		e := err.(*Error)
		if libraryErr == nil && !strings.Contains(e.Hint, "TOML 1.1") && !strings.Contains(e.Msg, "nested deeper") {
			t.Fatalf("refused: %v\n%q", err, src)
		}
		return
	}
	if libraryErr != nil {
		t.Fatalf("accepted, but go-toml says %v\n%q", libraryErr, src)
	}
	if tree == nil {
		tree = map[string]any{}
	}
	sameValue(t, src, root, tree)
	spans, _ := TOML.Find(src)
	for _, s := range spans {
		if s.Kind != Value {
			continue
		}
		var v any = tree
		for _, step := range s.Path {
			if step.Kind == List {
				v = v.([]any)[step.Index]
			} else {
				v = v.(map[string]any)[step.Key]
			}
		}
		text, err := TOML.Text(src, s)
		if err != nil || !sameScalar(text, v) {
			t.Fatalf("%v is %q (%v), not %v\n%q", s.Path, text, err, v, src)
		}
	}
}

func sameValue(t testing.TB, src []byte, n *TOMLNode, v any) {
	t.Helper()
	ok := false
	switch v := v.(type) {
	case map[string]any:
		ok = n.Type == "table" && len(n.Items) == len(v)
		for _, item := range n.Items {
			sameValue(t, src, item, v[item.Key])
		}
	case []any:
		if ok = n.Type == "list" && len(n.Items) == len(v); ok {
			for i, item := range n.Items {
				sameValue(t, src, item, v[i])
			}
		}
	case string:
		ok = n.Type == "string" && sameScalar(n.Text, v)
	case bool:
		ok = n.Type == "boolean" && sameScalar(n.Text, v)
	case int64, float64:
		ok = n.Type == "number" && sameScalar(n.Text, v)
	default:
		ok = n.Type == "date" && sameScalar(n.Text, v)
	}
	if !ok {
		t.Fatalf("%s %q is read as %T %v\n%q", n.Type, n.Key, v, v, src)
	}
}

// sameScalar reports whether a value that reads as text is v to go-toml.
func sameScalar(text string, v any) bool {
	plain := strings.ReplaceAll(text, "_", "")
	switch v := v.(type) {
	case map[string]any:
		return text == "{}" && len(v) == 0
	case []any:
		return text == "[]" && len(v) == 0
	case string: // go-toml keeps CRLF, which the specification leaves open
		return text == strings.ReplaceAll(v, "\r\n", "\n") || text == v
	case bool:
		return text == strconv.FormatBool(v)
	case int64:
		i, err := strconv.ParseInt(plain, 0, 64)
		return err == nil && i == v
	case float64:
		f, err := strconv.ParseFloat(strings.TrimLeft(plain, "+"), 64)
		return err == nil && f == v || math.IsNaN(v) && strings.HasSuffix(text, "nan")
	case time.Time:
		d, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text[:10])+"T"+strings.ToUpper(text[11:]))
		return err == nil && d.Equal(v)
	case toml.LocalDate:
		return text == v.String()
	case toml.LocalTime:
		return strings.HasPrefix(text, v.String()[:8])
	case toml.LocalDateTime:
		return strings.HasPrefix(text, v.LocalDate.String()) && strings.HasPrefix(text[11:], v.LocalTime.String()[:8])
	}
	return false
}

func TestTOMLAgrees(t *testing.T) {
	for _, dir := range []string{"roundtrip", "invalid"} {
		files(t, dir, func(name string, f *Format, src []byte) {
			if f == &TOML {
				t.Run(name, func(t *testing.T) { agree(t, src) })
			}
		})
	}
	for i, src := range tomlSeeds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			agree(t, []byte(src))
			if checkLaws(t, &TOML, []byte(src)) {
				blockLaw(t, &TOML, []byte(src))
				sameTree(t, src, &TOML, []byte(src))
			}
		})
	}
}

func FuzzTOML(f *testing.F) {
	seeds(f, &TOML, tomlSeeds...)
	f.Fuzz(func(t *testing.T, src []byte) {
		agree(t, src)
		if checkLaws(t, &TOML, src) && FindToken(src) < 0 {
			blockLaw(t, &TOML, src)
			sameTree(t, "", &TOML, src)
		}
	})
}

// deepTOML nests something n levels deep.
func deepTOML(open string, n int) []byte {
	switch open {
	case "a=[": // an array
		return []byte("a=" + strings.Repeat("[", n) + strings.Repeat("]", n))
	case "[": // headers
		return []byte("[" + strings.Repeat("a.", n) + "a]\n")
	case "a.":
		return []byte(strings.Repeat(open, n) + "a=1")
	}
	return []byte("a=" + strings.Repeat(open, n) + "1" + strings.Repeat("}", n))
}
