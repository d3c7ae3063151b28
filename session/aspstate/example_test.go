package aspstate_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// A store on an embedded pair: an item that was stored before a failover is read after it.
func ExampleStore() {
	dir, err := os.MkdirTemp("", "pair")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	servers, err := embedded.Open(embedded.Options{Dir: dir, Schema: schema.Script()})
	if err != nil {
		log.Fatal(err)
	}
	defer runUntilReturn(servers.Run)()

	cfg := partner.Config{Database: "ASPState"}
	for i, name := range []partner.Name{partner.A, partner.B} {
		server := servers.Partner(string(name))
		cfg.Partners[i] = partner.PartnerConfig{Name: name, ConnectionString: server.ConnectionString("ASPState")}
	}
	pair, err := partner.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer runUntilReturn(pair.Run)()
	store := aspstate.New(pair, nil)
	defer store.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	ref := session.Ref{App: &app, ID: session.NewID()}
	if _, err := store.Put(ctx, ref, session.Write{Item: []byte("hello")}, session.Condition{}, session.NewOperation()); err != nil {
		log.Fatal(err)
	}
	if err := servers.Partner("a").Failover(ctx); err != nil {
		log.Fatal(err)
	}
	s, err := store.Get(ctx, ref, session.GetOptions{})
	fmt.Printf("%s, %v; the principal is %s\n", s.Item, err, servers.Principal())
	// Output: hello, <nil>; the principal is b
}

// runUntilReturn starts run. stop cancels it and waits until it has returned.
func runUntilReturn(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			log.Fatal(err)
		}
	}
}
