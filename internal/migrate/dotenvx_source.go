package migrate

import (
	"strings"

	"github.com/leafseal/leafseal/internal/span"
)

// What dotenvx decrypted is to stand in the file as source text. dotenvx (like
// node's dotenv) and leafseal (like sh) do not agree on escapes, so a notation
// is looked for that both read in the same way.

// seen is a value as a program gets it. expands: it holds variables or
// commands that dotenvx would have replaced, and others might.
type seen struct {
	text    string
	expands bool
}

// seenBy is what dotenvx hands to a program for text between quotes of a kind
// (0: none). It takes a backslash off "\$" but in single quotes.
func seenBy(text string, quote byte) seen {
	if quote == '\'' {
		return seen{text: text}
	}
	bare := strings.ReplaceAll(text, `\$`, "")
	return seen{strings.ReplaceAll(text, `\$`, "$"), strings.Contains(bare, "$")}
}

// envSource writes text as the source of a value, with the quotes that stand
// there if they can hold it. same says that dotenvx reads it as leafseal does.
func envSource(text string, quote byte) (source string, expands, same bool) {
	want := seenBy(text, quote)
	quotes := []byte{quote, '\'', '"', '`'}
	if want.expands { // single quotes would forbid it
		quotes = []byte{quote, '"', '`', '\''}
	}
	for _, q := range quotes {
		inner := want.text
		if q == quote || want.expands {
			inner = text
		}
		if quoted := around(inner, q); readByLeafseal(quoted) == want.text && readByDotenvx(quoted) == want {
			return quoted, want.expands, true
		}
	}
	any, err := span.Dotenv.Quote(want.text, []byte(`""`), span.Span{End: 2, Kind: span.Value, Path: []span.Step{{Kind: "str", Key: "K"}}})
	if err != nil {
		return "", false, false // the proof fails
	}
	return string(any), want.expands, readByDotenvx(string(any)) == want
}

func around(text string, quote byte) string {
	if quote == 0 {
		return text
	}
	return string(quote) + text + string(quote)
}

// readByLeafseal reads source as the value of a line that a comment follows.
// What cannot be a value is a text that no value has.
func readByLeafseal(source string) string {
	values, err := dotenvValues([]byte("K=" + source + " # c\nL=1\n"))
	if err != nil || len(values) != 2 || values[0].name != "K" {
		return "\x00"
	}
	return values[0].text
}

// The expressions of dotenvx's parser (@dotenvx/primitives, scan).
var (
	dotenvxLine   = lazy(`(?m)^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*` + "`(?:\\\\`|[^`])*`" + `|[^#\r\n]+)?\s*(?:#(.*))?$`)
	dotenvxQuotes = lazy(`(?m)^(?:'([\s\S]*)'|"([\s\S]*)"|` + "`([\\s\\S]*)`" + `)$`)
)

// readByDotenvx reads source as dotenvx does.
func readByDotenvx(source string) seen {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	m := dotenvxLine().FindAllStringSubmatch("K="+source+" # c\nL=1\n", -1)
	if len(m) != 2 || m[0][1] != "K" || m[0][3] != " c" {
		return seen{text: "\x00"}
	}
	text, quote := strings.TrimSpace(m[0][2]), byte(0)
	if text != "" && strings.IndexByte("'\"`", text[0]) >= 0 {
		quote = text[0]
	}
	text = dotenvxQuotes().ReplaceAllString(text, "${1}${2}${3}")
	switch quote {
	case '\'':
		text = strings.ReplaceAll(text, `\'`, "'")
	case '"':
		text = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(text)
	}
	return seenBy(text, quote)
}
