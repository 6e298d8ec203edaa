package leafseal_test

import (
	"fmt"
	"strings"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func Example() {
	identity, err := age.ParseX25519Identity(vectorKey)
	if err != nil {
		panic(err)
	}
	plain := []byte("db:\n  host: localhost # comments and layout come back too\n  password: hunter2\n")

	sealed, err := leafseal.Encrypt(plain, leafseal.Options{
		Name:    "config.yaml",
		Readers: []leafseal.Reader{{Name: "alice", Key: identity.Recipient().String()}},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("password in clear:", strings.Contains(string(sealed), "hunter2"))

	back, err := leafseal.Decrypt(sealed, "config.yaml", identity)
	if err != nil {
		panic(err)
	}
	fmt.Print(string(back))
	// Output:
	// password in clear: false
	// db:
	//   host: localhost # comments and layout come back too
	//   password: hunter2
}

// exampleFile is an encrypted file as it comes from a repository.
func exampleFile() ([]byte, age.Identity) {
	identity, err := age.ParseX25519Identity(vectorKey)
	if err != nil {
		panic(err)
	}
	sealed, err := leafseal.Encrypt([]byte("db:\n  host: localhost\n  password: hunter2\n"), leafseal.Options{
		Name:    "config.yaml",
		Readers: []leafseal.Reader{{Name: "alice", Key: identity.Recipient().String()}},
		Rule:    leafseal.Rule{Only: "password"},
	})
	if err != nil {
		panic(err)
	}
	return sealed, identity
}

func ExampleFile_Set() {
	sealed, identity := exampleFile()
	f, err := leafseal.Open(sealed, leafseal.Options{Name: "config.yaml"}, identity)
	if err != nil {
		panic(err)
	}
	if err := f.Set("db.password", "correct horse"); err != nil {
		panic(err)
	}
	if err := f.Set("db.user", "app"); err != nil {
		panic(err)
	}
	fmt.Print(string(f.Plaintext()))
	was, now := strings.Split(string(sealed), "\n"), strings.Split(string(f.Bytes()), "\n")
	fmt.Println("lines:", len(was), len(now))
	// Output:
	// db:
	//   host: localhost
	//   password: correct horse
	//   user: app
	// lines: 11 12
}

func ExampleFile_Get() {
	sealed, identity := exampleFile()
	f, err := leafseal.Open(sealed, leafseal.Options{Name: "config.yaml"}, identity)
	if err != nil {
		panic(err)
	}
	password, err := f.Get("db.password")
	fmt.Println(password, err)
	_, err = f.Get("db.pasword")
	fmt.Println(err)
	// Output:
	// hunter2 <nil>
	// config.yaml: db.pasword: no such value
}

func ExampleFile_SetReaders() {
	sealed, identity := exampleFile()
	f, err := leafseal.Open(sealed, leafseal.Options{Name: "config.yaml"}, identity)
	if err != nil {
		panic(err)
	}
	bob, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	id := f.ID()
	alice := f.Readers()[0]
	if err := f.SetReaders([]leafseal.Reader{alice, {Name: "bob", Key: bob.Recipient().String()}}); err != nil {
		panic(err)
	}
	fmt.Println("adding a reader makes a new data key:", f.ID() != id)
	if err := f.SetReaders([]leafseal.Reader{alice}); err != nil {
		panic(err)
	}
	fmt.Println("removing one does:", f.ID() != id)
	_, err = leafseal.Decrypt(f.Bytes(), "config.yaml", bob)
	fmt.Println(err)
	// Output:
	// adding a reader makes a new data key: false
	// removing one does: true
	// config.yaml: no identity opens this file
}

func ExampleInspect() {
	sealed, _ := exampleFile()
	info, err := leafseal.Inspect(sealed, leafseal.Options{Name: "config.yaml"}) // no key is needed
	if err != nil {
		panic(err)
	}
	fmt.Println(info.Format, info.Readers[0].Name)
	for _, v := range info.Values {
		fmt.Println(v.Path, v.Sealed)
	}
	// Output:
	// yaml alice
	// db.host false
	// db.password true
}

func ExampleParsePolicy() {
	policy, err := leafseal.ParsePolicy([]byte(`
users:
  alice: age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj
files:
  - path: "config/**/*.yaml"
    for: [alice]
    only: password|token
`))
	if err != nil {
		panic(err)
	}
	rule := policy.Match("config/prod/db.yaml")
	fmt.Println(rule.Path, rule.Only, policy.Readers(rule)[0].Name)
	fmt.Println(policy.Match("README.md") == nil)
	// Output:
	// config/**/*.yaml password|token alice
	// true
}
