package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// A session over HTTP: create it, lock it, store and release, read it.
func ExampleClient() {
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)}) // in your program: a server at a URL
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.Config{URL: server.URL, Wait: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	app := session.Application{Name: "/LM/W3SVC/1/ROOT"}
	id, _, err := c.Create(ctx, &app, session.Write{Item: []byte("one")}, session.NewOperation())
	if err != nil {
		log.Fatal(err)
	}

	ref := session.Ref{App: &app, ID: id}
	s, lock, err := c.Acquire(ctx, ref, session.NewOperation())
	if err != nil {
		log.Fatal(err)
	}
	next := session.Write{Item: append(s.Item, ", two"...)}
	if _, err := c.Update(ctx, ref, lock, next, false, session.NewOperation()); err != nil {
		log.Fatal(err)
	}
	s, err = c.Get(ctx, ref, session.GetOptions{})
	fmt.Printf("%s, %v\n", s.Item, err)

	// The lock was released, so its handle is no longer valid.
	_, err = c.Update(ctx, ref, lock, next, false, session.NewOperation())
	fmt.Println(errors.Is(err, session.ErrLockLost), session.OutcomeOf(err))
	// Output:
	// one, two, <nil>
	// true not-applied
}
