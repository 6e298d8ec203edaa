package migrate

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/span"
)

// FuzzSops holds any text against both ways: what is written for sops opens
// again and says the same (WriteSops proves that itself), what does not verify
// gives nothing, and nothing panics.
func FuzzSops(f *testing.F) {
	key, err := os.ReadFile(filepath.Join(fixtures, "identity.txt"))
	if err != nil {
		f.Fatal(err)
	}
	id, err := age.ParseX25519Identity(lastLine(key))
	if err != nil {
		f.Fatal(err)
	}
	formats := []string{"yaml", "json", "dotenv", "ini", "binary"}
	paths, err := filepath.Glob(filepath.Join(fixtures, "*.*"))
	if err != nil || len(paths) < 10 {
		f.Fatalf("%d fixtures: %v", len(paths), err)
	}
	kind := map[string]byte{"yaml": 0, "json": 1, "dotenv": 2, "ini": 3, "binary": 4}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src, kind[formatOf(path)])
	}
	for name, text := range odd {
		f.Add([]byte(text), kind[formatOf(name)])
	}
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, src []byte, k byte) {
		format := formats[int(k)%len(formats)]
		if d, err := OpenSops(src, format, id); (d == nil) == (err == nil) {
			t.Fatalf("document %v and error %v", d, err)
		}
		if format == "binary" {
			format = "text"
		}
		o := SopsOptions{Format: format, Comments: k&0x80 != 0, Now: now, To: []SopsRecipient{{id.Recipient().String(), id.Recipient()}}}
		spans, err := span.ByName(format).Find(src)
		if err != nil {
			return
		}
		for i, s := range spans {
			if s.Kind == span.Value {
				o.Secret = append(o.Secret, (i+int(k))%3 != 0)
			}
		}
		out, _, err := WriteSops(src, o)
		if err != nil {
			return
		}
		if format == "text" {
			format = "binary"
		}
		if _, err := OpenSops(out, format, id); err != nil {
			t.Fatalf("what was written does not open: %v\n%s", err, out)
		}
	})
}

func lastLine(b []byte) string {
	end := len(b)
	for end > 0 && b[end-1] == '\n' {
		end--
	}
	start := end
	for start > 0 && b[start-1] != '\n' {
		start--
	}
	return string(b[start:end])
}
