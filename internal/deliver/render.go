package deliver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Notations are what Render writes.
var Notations = []string{"env", "json", "shell"}

// Render writes a document in another notation: "env", NAME=value lines in
// the quoting that sh and the loaders of dotenv files read alike; "shell", the
// same as export commands for sh; "json", the whole document.
func Render(as, format string, plain []byte) ([]byte, error) {
	if as == "json" {
		return renderJSON(format, plain)
	}
	vars, err := Environ(format, plain)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, v := range vars {
		switch as {
		case "env":
			fmt.Fprintf(&b, "%s=%s\n", v.Name, quoteEnv(v.Text))
		case "shell":
			if !shellName().MatchString(v.Name) {
				return nil, fmt.Errorf("%q cannot be a variable of a shell", v.Name)
			}
			fmt.Fprintf(&b, "export %s='%s'\n", v.Name, strings.ReplaceAll(v.Text, "'", `'\''`))
		default:
			return nil, fmt.Errorf("cannot render as %.20q", as)
		}
	}
	return b.Bytes(), nil
}

var plainEnv = lazy(`^[A-Za-z0-9_+=:,./@%^-]*$`)

// quoteEnv writes a value so that sh and the loaders of dotenv files read the
// same, line breaks included.
func quoteEnv(text string) string {
	switch {
	case plainEnv().MatchString(text):
		return text
	case !strings.Contains(text, "'"):
		return "'" + text + "'"
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, "$", `\$`, "`", "\\`").Replace(text) + `"`
}

func renderJSON(format string, plain []byte) ([]byte, error) {
	if format == "json" {
		return plain, nil
	}
	data, err := load(format, plain)
	if err != nil {
		return nil, err
	}
	compact, err := appendJSON(nil, data)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON")
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func appendJSON(b []byte, v *value) ([]byte, error) {
	var err error
	switch v.kind {
	case text:
		return appendString(b, v.text), nil
	case number:
		n, err := jsonNumber(v.text)
		return append(b, n...), err
	case boolean:
		return append(b, v.text...), nil
	case null:
		return append(b, "null"...), nil
	case list:
		b = append(b, '[')
		for i, item := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	b = append(b, '{')
	for i, item := range v.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, v.names[i]), ':')
		if b, err = appendJSON(b, item); err != nil {
			return nil, fmt.Errorf("%s: %w", v.names[i], err)
		}
	}
	return append(b, '}'), nil
}

func appendString(b []byte, s string) []byte {
	var q bytes.Buffer
	e := json.NewEncoder(&q)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string always can
	return append(b, bytes.TrimSuffix(q.Bytes(), []byte("\n"))...)
}
