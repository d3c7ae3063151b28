package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
)

// A server on an embedded pair, in this process and on free ports.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "mirrorstate")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cfg, err := config.Load("", os.LookupEnv,
		config.Flag("--api", "api.listen", "127.0.0.1:0"), config.Flag("--admin", "admin.listen", "127.0.0.1:0"))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.New(ctx, cfg, server.Options{Embedded: server.Embedded{Dir: dir}})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()

	made, err := http.Post(s.APIURL()+"/v1/apps/default/sessions", "", bytes.NewReader([]byte("hello")))
	if err != nil {
		log.Fatal(err)
	}
	made.Body.Close()
	read, err := http.Get(s.APIURL() + made.Header.Get("Location"))
	if err != nil {
		log.Fatal(err)
	}
	item, err := io.ReadAll(read.Body)
	read.Body.Close()
	fmt.Println(made.StatusCode, string(item), err)

	cancel() // the server answers the requests under way, and ends
	fmt.Println(<-ended)
	// Output:
	// 201 hello <nil>
	// <nil>
}
