// The contract on Go's net/http.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
)

// Seconds for which the kernel keeps a silent connection back.
const deferSeconds = 1

type message struct {
	Message string `json:"message"`
}

// deferred has the kernel keep silent connections back, like the other servers that can.
func deferred(_, _ string, socket syscall.RawConn) error {
	var failed error
	err := socket.Control(func(descriptor uintptr) {
		failed = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_TCP, syscall.TCP_DEFER_ACCEPT, deferSeconds)
	})
	if err != nil {
		return err
	}
	return failed
}

func answer(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Server", "go")
	w.Write(body)
}

func main() {
	address := "127.0.0.1:8080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	http.HandleFunc("/plaintext", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "text/plain", []byte("Hello, World!"))
	})
	http.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		body, _ := json.Marshal(message{"Hello, World!"})
		answer(w, "application/json", body)
	})
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, "application/octet-stream", body)
	})
	options := net.ListenConfig{Control: deferred}
	listener, err := options.Listen(context.Background(), "tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	log.Fatal(http.Serve(listener, nil))
}
