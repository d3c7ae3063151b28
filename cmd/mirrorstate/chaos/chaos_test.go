package chaos

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "the seed to replay; 0 takes one at random, or, in the short run, the same each time")
	durationFlag  = flag.Duration("chaos.duration", 0, "how long each run lasts at most; 0: the short runs of make test")
	failoversFlag = flag.Int("chaos.failovers", math.MaxInt, "failovers after which a run is done")
	requestsFlag  = flag.Int64("chaos.requests", 0, "requests that a run has to make too, until it is done")
	proxiesFlag   = flag.Int("chaos.proxies", 0, "proxies side by side; 0 runs one, then three, then three without a witness")
	witnessFlag   = flag.Bool("chaos.witness", true, "the pair has a witness; without, the proxies' watchdogs force service")
	exposedFlag   = flag.String("chaos.exposed", partner.ExposedAllow, "what the proxies do with writes while the mirror is away: allow or refuse")
	kindsFlag     = flag.String("chaos.kinds", "", "only these kinds of steps, such as manual,crash,freeze; empty: all")
	clientsFlag   = flag.Int("chaos.clients", 12, "clients")
	rudeFlag      = flag.Bool("chaos.rude", true, "clients hang up, and send their calls again to other proxies")
	relayFlag     = flag.Bool("chaos.relay", true, "between each proxy and each server is a relay that disturbs connections")
	wiresFlag     = flag.String("chaos.wires", "", "what the relays do: only these kinds, such as late,cut; empty: all")
	netFlag       = flag.Bool("chaos.net", true, "two .NET clients on the same sessions, where the pair has a witness")
)

// The short run: the duration of each of its three parts, and the seed. With this seed a proxy is soon killed, another
// is restarted, and the principal is lost in several ways (TestShortSeed).
const (
	shortRun  = 14 * time.Second
	shortSeed = 17052
)

// sessionTurns is the number of turns of a session, and clientsPerSession the average number of clients on one session.
const (
	sessionTurns      = 150
	clientsPerSession = 3
)

// rudeness: on average, one mutation in this many is rude.
const rudeness = 5

// netClients is the number of .NET clients.
const netClients = 2

// maxUnknown: one request in this many may end with an unknown outcome, because the session has had more operations
// than it remembers before the call was sent again.
const maxUnknown = 1000

// unknownWhereRude is the factor by which more unknown outcomes are allowed if clients hang up or relays lose answers.
// Many more calls are sent again then, and a call whose outcome is unknown once is unknown each time it is sent.
const unknownWhereRude = 5

// leastUnknown is the number of unknown outcomes that is always allowed, for a short run with few requests.
const leastUnknown = 60

// progressEvery is the interval at which a run logs its progress.
const progressEvery = 10 * time.Second

// TestChaos checks the promise: a call may be slow, but it never fails; no write is lost; no lock is held twice.
func TestChaos(t *testing.T) {
	seed, duration := *seedFlag, *durationFlag
	switch {
	case seed == 0 && duration == 0:
		seed = shortSeed
	case seed == 0:
		seed = uint64(rand.Uint32()) + 1
	}
	if duration == 0 {
		duration = shortRun
	}
	t.Logf("seed %d; replay with -seed %d", seed, seed)
	if *proxiesFlag > 0 {
		runChaos(t, seed, duration, *proxiesFlag, *witnessFlag)
		return
	}
	t.Run("one proxy", func(t *testing.T) { runChaos(t, seed, duration, 1, true) })
	t.Run("three proxies", func(t *testing.T) { runChaos(t, seed, duration, 3, true) })
	t.Run("three proxies that are the witness", func(t *testing.T) { runChaos(t, seed, duration, 3, false) })
}

// TestShortSeed checks that the first steps of the short run include the important faults.
func TestShortSeed(t *testing.T) {
	for _, proxies := range []int{1, 3} {
		r := random(shortSeed, 0)
		var kinds []string
		for range 8 {
			kinds = append(kinds, next(r, proxies, odds).kind)
		}
		for _, want := range []string{manual, manualSQL, "sever", "freeze", "crash", kill, restart} {
			if !slices.Contains(kinds, want) {
				t.Errorf("with %d proxies no %s is among the first steps: %v", proxies, want, kinds)
			}
		}
	}
}

func runChaos(t *testing.T, seed uint64, duration time.Duration, proxies int, witness bool) {
	kinds, wires := chosenKinds(t), chosenWires(t)
	tl := newTally()
	f := startFleet(t, tl, fleetOptions{proxies: proxies, witness: witness, relay: *relayFlag, seed: seed, clear: 1})
	run := newRun(t, f, tl, seed)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var watching sync.WaitGroup
	watching.Go(func() { run.report(ctx) })
	watching.Go(func() { f.serving(ctx, f.await) })
	running := run.startClients(ctx, *clientsFlag)
	if *netFlag && witness {
		run.startNet(ctx, f, running)
	}
	d := &director{
		fleet: f, tally: run.tally, random: random(seed, 0), among: kinds,
		wires: random(seed, wireActor), chosenWires: wires,
		most: *failoversFlag, requests: *requestsFlag, trace: t.Logf,
	}
	if err := d.run(ctx); err != nil {
		t.Errorf("the pair did not recover: %v", err)
	}
	tl.server += ", " + f.lastSweep()
	cancel()
	running.Wait()
	run.end()
	watching.Wait()
	run.verdict(t, proxies)
}

// chosenKinds returns the kinds of steps that the flag selects.
func chosenKinds(t *testing.T) []chance {
	kinds := listed(*kindsFlag)
	c := chances(kinds)
	if len(c) == 0 || len(kinds) > 0 && len(c) != len(kinds) {
		t.Fatalf("-chaos.kinds %q names a kind that is not one of %v", *kindsFlag, odds)
	}
	return c
}

// chosenWires returns the kinds of disturbances that the flag selects.
func chosenWires(t *testing.T) []wireChance {
	kinds := listed(*wiresFlag)
	c := wireChances(kinds)
	if len(c) == 0 || len(kinds) > 0 && len(c) != len(kinds) {
		t.Fatalf("-chaos.wires %q names a kind that is not one of %v", *wiresFlag, wireOdds)
	}
	return c
}

// listed returns the words of a flag.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// The numbers of the actors that are not clients: the schedule, the disturbances, and the relays.
const (
	wireActor  = -1
	relayActor = -2
	netActor   = 100
)

// random returns the random numbers of one actor of the run.
func random(seed uint64, actor int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(actor))) }

// run is one run of clients against stores.
type run struct {
	t       *testing.T
	seed    uint64
	targets []target
	tally   *tally
	checker *checker
	stage   *stage
	reader  *client // reads each session once more at its end
	reading sync.Mutex
	began   time.Time
}

func newRun(t *testing.T, f *fleet, tl *tally, seed uint64) *run {
	r := &run{t: t, seed: seed, tally: tl, began: time.Now()}
	for _, p := range f.proxies {
		r.targets = append(r.targets, p.target)
	}
	r.checker = startChecker(t, r.tally)
	r.reader = r.client(-1)
	r.stage = newStage(&application, max(1, *clientsFlag/clientsPerSession), sessionTurns, r.finish)
	return r
}

// client returns a client. Its number also selects its random numbers.
func (r *run) client(n int) *client {
	return &client{number: n + 1, waits: 3, random: random(r.seed, n+2), targets: r.targets, tally: r.tally, epoch: r.began}
}

func (r *run) startClients(ctx context.Context, n int) *sync.WaitGroup {
	var running sync.WaitGroup
	for i := range n {
		c := r.client(i)
		if *rudeFlag {
			c.rude = rudeness
		}
		running.Go(func() { c.run(ctx, r.stage) })
	}
	return &running
}

// finish reads a session for the last time, which shows lost writes, and sends its history to the checker.
func (r *run) finish(sub *subject) {
	r.reading.Lock()
	r.reader.get(sub, true)
	r.reading.Unlock()
	r.checker.queue <- sub
}

// end finishes the sessions that are still in use, and waits for all results.
func (r *run) end() {
	r.stage.close()
	r.checker.stop()
}

// report logs the progress until ctx ends.
func (r *run) report(ctx context.Context) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.t.Logf("%v: %s", time.Since(r.began).Round(time.Second), r.tally.progress())
		case <-ctx.Done():
			return
		}
	}
}

// verdict logs the summary of the run, and fails the test if the promise was broken.
func (r *run) verdict(t *testing.T, proxies int) {
	t.Logf("seed %d, %d proxies, %d clients, %v:%s", r.seed, proxies, *clientsFlag, time.Since(r.began).Round(time.Millisecond), r.tally.summary())
	for _, f := range r.tally.failures {
		t.Logf("seed %d: no answer to a request: %s", r.seed, f)
	}
	requests, failed, doubt := r.tally.requests.Load(), r.tally.failed.Load(), r.tally.unknown.Load()
	if failed > 0 {
		t.Errorf("seed %d: %d requests failed", r.seed, failed)
	}
	allowed := requests / maxUnknown
	if *rudeFlag || *relayFlag {
		allowed = max(allowed*unknownWhereRude, leastUnknown)
	}
	if doubt > 2 && doubt > allowed {
		t.Errorf("seed %d: the outcome of %d requests in %d is unknown", r.seed, doubt, requests)
	}
	if requests == 0 || sum(r.tally.verdicts) == 0 {
		t.Error("the clients sent no request")
	}
}
