package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

func exportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write a file for sops, to the same age keys",
		UsageText: "leafseal export --as sops [FLAG…] FILE",
		Description: `For tools that read files of sops: Flux, Argo CD, helm-secrets, Terraform. The
same age keys open it, and it holds the same data. What sops would refuse or
change (dates, tags, numbers that it rounds) is refused with the place.
In a file of sops the type and length of every value show, and which are empty.

leafseal export --as sops config/prod.yaml > prod.sops.yaml
leafseal export --as sops -o deploy/secrets.yaml secrets.yaml`,
		ArgsUsage: "FILE",
		Flags: append(outputFlags(), formatFlag(),
			&cli.StringFlag{Name: "as", Usage: "write `KIND`: sops", Required: false}),
		Action: func(c *cli.Context) error {
			args, err := e.arguments(c, 1, "FILE")
			if err != nil {
				return err
			}
			if c.String("as") != "sops" {
				return usagef("export needs --as sops: there is no other kind yet")
			}
			f, err := e.open(args[0], c.String("format"))
			if err != nil {
				return err
			}
			data, err := e.exportSops(args[0], f)
			if err != nil {
				return err
			}
			out := c.String("output")
			if out == "" {
				out = "-"
			}
			if err := e.checkSopsName(args[0], out, f); err != nil {
				return err
			}
			was, err := replaced(out, c.Bool("force"))
			if err != nil {
				return err
			}
			return e.write(out, was, data)
		},
	}
}

func (e *env) exportSops(path string, f *leafseal.File) ([]byte, error) {
	info, err := leafseal.Inspect(f.Bytes(), leafseal.Options{Name: path, Format: f.Format()})
	if err != nil {
		return nil, err
	}
	o := migrate.SopsOptions{Format: f.Format(), Comments: info.SealedComments || !f.Rule().KeepComments, Now: e.now()}
	for _, v := range info.Values {
		o.Secret = append(o.Secret, v.Sealed)
	}
	readers, err := e.withRecipients(f.Readers())
	if err != nil {
		return nil, err
	}
	for _, r := range readers {
		if !migrate.SopsTakes(r.Key) {
			return nil, &leafseal.Error{File: path, Err: fmt.Errorf("the key of reader %s is not an age key", names([]leafseal.Reader{r})), Hint: "files for sops are written to age keys (age1…) only"}
		}
		o.To = append(o.To, migrate.SopsRecipient{Key: r.Key, Recipient: r.Recipient})
	}
	data, notes, err := migrate.WriteSops(f.Plaintext(), o)
	if err != nil {
		return nil, foreignError(path, err)
	}
	for _, note := range notes {
		e.say("%s: %s", path, note)
	}
	return data, nil
}

// checkSopsName makes sure that sops takes the file for what it is: it goes by
// the name.
func (e *env) checkSopsName(path, out string, f *leafseal.File) error {
	if out == "-" {
		out = path
	}
	want := f.Format()
	switch want {
	case "text", "toml":
		want = "binary"
	case "jsonc":
		want = "json"
	}
	switch has := sopsFormat(out, nil); {
	case want == has:
	case want == "binary":
		return &leafseal.Error{File: path, Err: fmt.Errorf("to sops it is one text, but a file of the name %s it would take for %s", filepath.Base(out), has), Hint: "-o gives it another name"}
	case has == "binary" || filepath.Ext(out) != ".env" && want == "dotenv":
		e.say("sops does not know %s by its name: give it --input-type %s --output-type %s", filepath.Base(out), want, want)
	}
	return nil
}
