package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
)

// asFlood makes the test binary a client that sends as many requests as it can. Its value is the URL of the API.
const asFlood = "MIRRORSTATE_TEST_AS_FLOOD"

// floodReport counts the answers to the flood.
type floodReport struct{ Served, Turned, Other, Broken int64 }

// runFlood sends as many requests as it can until standard input ends. It prints "turned away" at the first refusal,
// and the report at the end.
func runFlood() {
	ctx, cancel := context.WithCancel(context.Background())
	var served, turned, other, broken atomic.Int64
	var first sync.Once
	transport := &http.Transport{MaxIdleConnsPerHost: flooders}
	ask := func(method, url, body string) {
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer "+os.Getenv(credential.Variable))
		resp, err := transport.RoundTrip(req)
		if err != nil {
			if ctx.Err() == nil {
				broken.Add(1)
			}
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		switch {
		case resp.StatusCode < 300:
			served.Add(1)
		case resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "":
			turned.Add(1)
			first.Do(func() { fmt.Fprintln(os.Stderr, "turned away") })
		case resp.StatusCode != http.StatusNotFound: // 404: the request that creates the session was refused
			other.Add(1)
		}
	}
	var wg sync.WaitGroup
	for i := range flooders {
		url := fmt.Sprintf("%s/v1/apps/default/sessions/flood%d", os.Getenv(asFlood), i)
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if n%4 == 0 {
					ask("PUT", url, strings.Repeat("y", 4<<10))
				} else {
					ask("GET", url, "")
				}
			}
		})
	}
	io.Copy(io.Discard, os.Stdin)
	cancel()
	wg.Wait()
	json.NewEncoder(os.Stdout).Encode(floodReport{served.Load(), turned.Load(), other.Load(), broken.Load()})
	os.Exit(0)
}
