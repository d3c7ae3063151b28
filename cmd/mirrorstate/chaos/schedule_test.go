package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// step is one thing done to the pair.
type step struct {
	kind   string        // of a failover or a fault
	target string        // principal or mirror: the partner with that role then
	proxy  int           // affects only this proxy; -1: all
	calm   time.Duration // time before the step
	lasts  time.Duration // time until the step ends
	delay  time.Duration // of the fault slow
}

// String returns the step as a line of the schedule.
func (s step) String() string {
	text := s.kind
	if s.target != "" {
		text += " of the " + s.target
	}
	if s.proxy >= 0 {
		text += fmt.Sprintf(" for proxy %d", s.proxy)
	}
	if s.lasts > 0 {
		text += " for " + s.lasts.String()
	}
	return text
}

// The kinds of steps that are not faults of a server: a failover on the server, a failover through a proxy, and the end
// of a proxy, killed or restarted.
const (
	manual    = "manual"
	manualSQL = "manual-sql"
	kill      = "kill"
	restart   = "restart"
)

// chance is how often a kind occurs, with its bounds.
type chance struct {
	kind        string
	weight      int
	least, most time.Duration // how long it lasts
	app         bool          // may affect a single proxy
}

// odds are all kinds of steps. A fault of the principal may last longer than its partner and the witness need to notice
// it, or not as long.
var odds = []chance{
	{kind: manual, weight: 30},
	{kind: manualSQL, weight: 15},
	{kind: "crash", weight: 12, least: 200 * time.Millisecond, most: 2 * time.Second},
	{kind: "stop", weight: 6, least: 200 * time.Millisecond, most: 2 * time.Second},
	{kind: "freeze", weight: 9, least: 300 * time.Millisecond, most: 7 * time.Second, app: true},
	{kind: "isolate", weight: 9, least: 300 * time.Millisecond, most: 7 * time.Second, app: true},
	{kind: "sever", weight: 8, app: true},
	{kind: "partition", weight: 6, least: 200 * time.Millisecond, most: 2 * time.Second},
	{kind: "slow", weight: 5, least: 500 * time.Millisecond, most: 2 * time.Second, app: true},
	{kind: kill, weight: 8, least: 50 * time.Millisecond, most: time.Second},
	{kind: restart, weight: 6, least: 50 * time.Millisecond, most: 500 * time.Millisecond},
}

// chances returns the odds of these kinds; of all if kinds is empty.
func chances(kinds []string) []chance {
	if len(kinds) == 0 {
		return odds
	}
	return slices.DeleteFunc(slices.Clone(odds), func(c chance) bool { return !slices.Contains(kinds, c.kind) })
}

// next returns the schedule's next step. It depends only on the state of random.
func next(random *rand.Rand, proxies int, among []chance) step {
	c := among[pick(random, len(among), func(i int) int { return among[i].weight })]
	s := step{kind: c.kind, proxy: -1, calm: between(random, 50*time.Millisecond, 400*time.Millisecond)}
	switch c.kind {
	case manual:
		return s
	case manualSQL, kill, restart:
		s.proxy = random.IntN(proxies)
		s.lasts = between(random, c.least, c.most)
		return s
	}
	s.target = "principal"
	if random.IntN(4) == 0 {
		s.target = "mirror"
	}
	if c.app && random.IntN(2) == 0 {
		s.proxy = random.IntN(proxies)
	}
	s.lasts = between(random, c.least, c.most)
	s.delay = between(random, 2*time.Millisecond, 40*time.Millisecond)
	return s
}

// wireChance is how often a kind of disturbance occurs, how many requests it disturbs, and how long it holds a request
// back.
type wireChance struct {
	kind          string
	weight, oneIn int
	least, most   time.Duration
}

// wireOdds are all kinds of disturbances.
var wireOdds = []wireChance{
	{kind: wireLate, weight: 40, oneIn: 8, least: 200 * time.Millisecond, most: 3 * time.Second},
	{kind: wireCut, weight: 10, oneIn: 10},
	{kind: wireHalf, weight: 10, oneIn: 10},
	{kind: wireDelay, weight: 10, oneIn: 5, least: 5 * time.Millisecond, most: 300 * time.Millisecond},
	{kind: wireReorder, weight: 15, oneIn: 5},
	{kind: wireDeaf, weight: 3, oneIn: 100},
	{kind: wireMute, weight: 3, oneIn: 100},
}

// wireChances returns the odds of these kinds; of all if kinds is empty.
func wireChances(kinds []string) []wireChance {
	if len(kinds) == 0 {
		return wireOdds
	}
	return slices.DeleteFunc(slices.Clone(wireOdds), func(c wireChance) bool { return !slices.Contains(kinds, c.kind) })
}

// nextDisturbance returns what the relays do during the schedule's next step. It depends only on the state of random.
func nextDisturbance(random *rand.Rand, proxies int, among []wireChance) *disturbance {
	c := among[pick(random, len(among), func(i int) int { return among[i].weight })]
	d := &disturbance{kind: c.kind, proxy: -1, oneIn: c.oneIn, least: c.least, most: c.most}
	if random.IntN(2) == 0 {
		d.proxy = random.IntN(proxies)
	}
	return d
}

// pick returns a random number below n, by weight.
func pick(random *rand.Rand, n int, weight func(int) int) int {
	total := 0
	for i := range n {
		total += weight(i)
	}
	at, i := random.IntN(total), 0
	for at >= weight(i) {
		at -= weight(i)
		i++
	}
	return i
}

// between returns a random time from least to most, in whole milliseconds.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(random.Int64N(int64(most-least)+1))).Truncate(time.Millisecond)
}

// settleTimeout is how long the pair may take to recover after all faults have ended.
const settleTimeout = 25 * time.Second

// director carries out the steps of the schedule, one after the other.
type director struct {
	fleet  *fleet
	tally  *tally
	random *rand.Rand
	among  []chance

	wires       *rand.Rand // decides what the relays do
	chosenWires []wireChance

	most     int   // stop after this many failovers
	requests int64 // and after this many requests
	trace    func(format string, args ...any)
}

// run carries out steps until there were enough failovers and requests, or ctx ends. It waits until the pair has
// recovered.
func (d *director) run(ctx context.Context) error {
	for d.tally.changes() < d.most || d.tally.requests.Load() < d.requests {
		s := next(d.random, len(d.fleet.proxies), d.among)
		d.fleet.disturb(nextDisturbance(d.wires, len(d.fleet.proxies), d.chosenWires))
		if !pause(ctx, s.calm) {
			return nil
		}
		if err := d.do(ctx, s); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
	}
	return nil
}

// do carries out one step and waits until the pair has recovered.
func (d *director) do(ctx context.Context, s step) error {
	before := d.fleet.servers.Principal()
	d.tally.cutShort(d.fleet.stopTiming())
	d.tally.under(s.String())
	d.trace("%v; principal %s", s, before)
	refused, err := d.apply(context.WithoutCancel(ctx), s, before)
	if err == nil && s.lasts > 0 {
		pause(ctx, s.lasts)
	}
	err = errors.Join(err, d.lift(context.WithoutCancel(ctx)))
	if err == nil {
		err = d.settle(context.WithoutCancel(ctx))
	}
	d.tally.stepped(s.kind, refused, d.fleet.servers.Principal() != before)
	d.tally.under("nothing, after " + s.String())
	return err
}

// apply carries out the step. A failover that the server refuses is not an error: a mirror that is not synchronized
// can't become principal.
func (d *director) apply(ctx context.Context, s step, principal string) (refused bool, err error) {
	servers := d.fleet.servers
	switch s.kind {
	case manual:
		err := servers.Partner(principal).Failover(ctx)
		return err != nil, nil
	case manualSQL:
		_, err := d.fleet.proxies[s.proxy].asked.Failover(ctx)
		if err != nil {
			d.trace("refused: %v", err)
		}
		return err != nil, nil
	case kill:
		d.fleet.proxies[s.proxy].kill()
		return false, nil
	case restart:
		return false, d.fleet.proxies[s.proxy].end()
	}
	target := servers.Partner(principal)
	if s.target == "mirror" {
		target = servers.Partner(servers.Mirror())
	}
	app := ""
	if s.proxy >= 0 {
		app = d.fleet.proxies[s.proxy].app
	}
	f, err := embedded.ParseFault(s.kind, s.delay, s.delay/2, app)
	if err != nil {
		return false, err
	}
	return false, target.Inject(ctx, f)
}

// lift ends all faults, and starts the proxies that are not running.
func (d *director) lift(ctx context.Context) error {
	var errs []error
	d.fleet.disturb(nil)
	for _, in := range d.fleet.proxies {
		if in.current() == nil {
			errs = append(errs, in.start())
		}
	}
	for _, name := range []string{"a", "b"} {
		errs = append(errs, d.fleet.servers.Partner(name).Inject(ctx, embedded.Heal))
	}
	return errors.Join(errs...)
}

// settle waits until the partners are SYNCHRONIZED and every watchdog knows it. If the principal is lost before that,
// no watchdog forces service.
func (d *director) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	events, unsubscribe := d.fleet.servers.Events()
	defer unsubscribe()
	look := time.NewTicker(50 * time.Millisecond) // for changes without an event
	defer look.Stop()
	servers := d.fleet.servers
	for !d.fleet.whole() {
		if p := servers.Principal(); p != "" && servers.State() == "SUSPENDED" {
			// After forced service an operator must resume mirroring.
			if err := servers.Partner(p).Resume(ctx); err != nil {
				d.trace("resume: %v", err)
			}
		}
		select {
		case <-events:
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%v after all faults have ended the pair is %s with principal %q%s",
				settleTimeout, servers.State(), servers.Principal(), d.fleet.watchdogs())
		}
	}
	return nil
}

// pause reports whether d passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
