// HTTPS by Go's net/http.
package main

import (
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte("Hello, World!"))
	})
	folder := os.Args[2]
	log.Fatal(http.ListenAndServeTLS(os.Args[1], folder+"/cert.pem", folder+"/key.pem", nil))
}
