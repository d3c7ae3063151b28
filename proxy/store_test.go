package proxy_test

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// Every promise of a Store holds over HTTP, through our client.
func TestStoreOverHTTP(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		store := memory.New(nil)
		apps := make(map[string]session.Application)
		for _, app := range storetest.Applications() {
			apps[app.Name[len("/lm/w3svc/1/root/"):]] = app
		}
		// The suite sends other content with the same operation id, to check that this has no effect. Over HTTP such
		// a request is refused before it reaches the store.
		limits := proxy.Limits{IdempotencyKeys: -1}
		s := administer(t, &pair{}, proxy.Config{Store: store, Apps: apps, AppsOpen: true, Limits: limits})
		c, err := client.New(client.Config{URL: s.url, HTTP: s.client, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		return storetest.Subject{
			Store: c, Extended: true, NoBlankItem: true, Opaque: true,
			Age: func(_ *testing.T, ref session.Ref, d time.Duration) { store.Age(ref, d) },
		}
	})
}
