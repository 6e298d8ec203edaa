// A service that reads its encrypted configuration at start: the key comes
// from a place of the service's own choice, here a variable.
//
//	LEAFSEAL_IDENTITY=AGE-SECRET-KEY-1… go run ./examples/library config.yaml db.password
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: library FILE PATH")
	}
	identities, err := age.ParseIdentities(strings.NewReader(os.Getenv("LEAFSEAL_IDENTITY")))
	if err != nil {
		log.Fatal("LEAFSEAL_IDENTITY holds no age identity")
	}
	src, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	file, err := leafseal.Open(src, leafseal.Options{Name: os.Args[1]}, identities...)
	if err != nil {
		log.Fatal(err)
	}
	value, err := file.Get(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a value of", len(value), "bytes")
}
