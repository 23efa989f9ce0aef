// Hello answers every request with a greeting.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
)

const greeting = "Hello from Go"

func main() {
	port := cmp.Or(os.Getenv("PORT"), "8080")
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "%s, release %s\n", greeting, os.Getenv("SKY_RELEASE"))
	})
	log.Println("listening on", port)
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
