package partner

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Status is what GET /v1/pair shows of the pair.
type Status struct {
	Database     string          `json:"database"`
	Topology     string          `json:"topology"`  // embedded, mirroring, availability-group, plain, unknown
	Schema       string          `json:"schema"`    // stock or extended; stock until a principal was seen
	Principal    choose.Name     `json:"principal"` // empty: none is known
	Epoch        int64           `json:"epoch"`
	RoleSequence int64           `json:"role_sequence"`
	Exposed      bool            `json:"exposed"`      // the mirror does not have what is acknowledged now
	ExposedRule  string          `json:"exposed_rule"` // allow or refuse, as configured
	SplitBrain   bool            `json:"split_brain"`  // both partners claim to be a writable principal
	Claims       []choose.Claim  `json:"claims"`       // both claims while split_brain; otherwise empty
	Reason       string          `json:"reason"`       // why this principal, or why none
	Holding      int             `json:"holding"`      // calls waiting for a principal
	Hold         hold.Stats      `json:"hold"`
	Partners     []PartnerStatus `json:"partners"` // a, then b
	Watchdog     WatchdogStatus  `json:"watchdog"`
}

// PartnerStatus is what is known of one partner.
type PartnerStatus struct {
	Name      choose.Name `json:"name"`
	Address   string      `json:"address"`
	Role      choose.Role `json:"role"`
	State     string      `json:"state"`      // mirroring_state_desc, or the database's state where that is NULL
	Safety    string      `json:"safety"`     // FULL, OFF, or empty: unknown
	Breaker   string      `json:"breaker"`    // closed, open, half-open
	LatencyMS float64     `json:"latency_ms"` // round trip of the last answered probe
	ClockMS   float64     `json:"clock_ms"`   // its clock minus ours
	LastError string      `json:"last_error"` // of the last probe, or which right it lacked to see the role; empty after a good one
	Seen      time.Time   `json:"seen"`       // when it last answered; the zero time: never
	Reachable bool        `json:"reachable"`  // the last probe was answered
	SinceS    float64     `json:"since_s"`    // seconds for which that has been so without a break; unreachable: on fresh connections
}

// Event is something that happened to the pair.
type Event struct {
	At      time.Time   `json:"at"`
	Kind    string      `json:"kind"` // principal, no-principal, role, breaker, split-brain, fenced, accepted, watchdog
	Partner choose.Name `json:"partner,omitempty"`
	Epoch   int64       `json:"epoch,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

// Status reads what is known now; it asks nobody. Safe for concurrent use.
func (p *Pair) Status() Status {
	p.mu.Lock()
	v, w := p.view, p.watchdog
	p.mu.Unlock()
	s := Status{
		Database:    p.cfg.Database,
		Topology:    cmp.Or(p.cfg.Topology, v.Topology()),
		Schema:      "stock",
		Epoch:       v.Accepted.Epoch,
		ExposedRule: p.cfg.Exposed,
		SplitBrain:  v.Decision.SplitBrain,
		Reason:      v.Decision.Reason,
		Hold:        p.hold.Stats(),
		Watchdog:    w,
		Claims:      []choose.Claim{},
	}
	if v.Decision.SplitBrain {
		s.Claims = v.Claims[:]
	}
	s.RoleSequence, s.Holding = v.Accepted.Sequence, s.Hold.Held
	if v.Accepted.Extended {
		s.Schema = "extended"
	}
	if v.Serving {
		s.Principal = v.Accepted.Partner
		s.Exposed = v.Observed[s.Principal.Index()].Exposed()
	}
	for i, m := range p.members {
		s.Partners = append(s.Partners, partnerStatus(m, v, i))
	}
	return s
}

// partnerStatus is one partner's share of the status.
func partnerStatus(m *member, v choose.View, i int) PartnerStatus {
	o := v.Observed[i]
	s := PartnerStatus{
		Name: m.name, Address: m.address, Role: o.Role, State: o.Mirroring, Safety: o.Safety,
		Breaker:   m.breaker.stateName(),
		LatencyMS: milliseconds(v.Latency[i]),
		ClockMS:   milliseconds(m.clock.Load().offset),
		LastError: probeProblem(o),
		Seen:      v.Seen[i].UTC(),
		Reachable: o.Reachable,
	}
	if since := v.Since(i); !since.IsZero() {
		s.SinceS = time.Since(since).Seconds()
	}
	if s.Role == "" {
		s.Role = choose.RoleUnknown
	}
	// A pair without mirroring has roles too: who serves, and who doesn't.
	if !o.HasRole() && v.Serving && v.Accepted.Partner == m.name {
		s.Role = choose.RolePrincipal
	}
	if s.State == "" {
		s.State = o.State
	}
	return s
}

// Sees implements Observer: it tells what the last probes found, and asks
// nobody. ErrClosed after Run has ended.
func (p *Pair) Sees(_ context.Context, n choose.Name) (reachable bool, since time.Duration, err error) {
	select {
	case <-p.closed:
		return false, 0, ErrClosed
	default:
	}
	i := n.Index()
	p.mu.Lock()
	o, from := p.view.Observed[i], p.view.Since(i)
	p.mu.Unlock()
	now := time.Now()
	switch {
	case o.Began.IsZero() || now.After(o.ValidUntil):
		return false, 0, fmt.Errorf("partner %s has not been asked lately", n)
	case from.IsZero():
		return o.Reachable, 0, nil
	}
	return o.Reachable, now.Sub(from), nil
}

var _ choose.Observer = (*Pair)(nil)

// trouble returns what went wrong in a probe, and which right the login lacks; empty: neither.
func probeProblem(o choose.Observation) string {
	text := link.ErrorText(o.Err)
	if text != "" && o.MissingRight != "" {
		text += "; "
	}
	return text + o.MissingRight
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Ready says whether calls can be expected to end well: a principal serves, or
// has been gone for less than the hold's window.
func (p *Pair) Ready() bool { return p.withoutPrincipal() < p.cfg.Hold.Window }

// Subscribe gives the pair's events from now on. A slow reader misses events
// rather than delaying anything. cancel closes the channel; it must be called.
func (p *Pair) Subscribe() (events <-chan Event, cancel func()) {
	c := make(chan Event, 64)
	p.mu.Lock()
	p.subscribers[c] = struct{}{}
	p.mu.Unlock()
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, ok := p.subscribers[c]; ok {
			delete(p.subscribers, c)
			close(c)
		}
	}
}

// WaitForPrincipal returns nil once a principal serves, ErrClosed when Run has
// ended, or ctx's cause.
func (p *Pair) WaitForPrincipal(ctx context.Context) error {
	return p.await(ctx, false, func(choose.View) bool { return p.hold.Serving() != nil })
}

// await waits until what is known satisfies cond. With hurry both partners are
// asked every few milliseconds meanwhile.
func (p *Pair) await(ctx context.Context, probing bool, cond func(choose.View) bool) error {
	tick := time.NewTicker(p.cfg.MonitorTrouble)
	defer tick.Stop()
	for {
		p.mu.Lock()
		v, changed := p.view, p.changed
		p.mu.Unlock()
		if cond(v) {
			return nil
		}
		beat := tick.C
		if !probing {
			beat = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.closed:
			return ErrClosed
		case <-changed:
		case <-beat:
			p.probeNow()
		}
	}
}

// Holding says whether calls wait for a principal, or writes for its mirror, or would if
// there were any. It takes no lock and asks nobody.
func (p *Pair) Holding() bool { return p.hold.Holding() }

// Stats counts what happened to the pair, and what fencing and the watchdog did, since the start.
type Stats struct {
	SplitBrains  uint64            `json:"split_brains"`  // how often both partners came to claim
	Fenced       map[string]uint64 `json:"fenced"`        // claims not believed, by reason: epoch, role-sequence, no-epoch, overruled; once per change
	Accepts      uint64            `json:"accepts"`       // operator's words obeyed
	Watchdog     map[string]uint64 `json:"watchdog"`      // decisions by action, once per change
	MemoryErrors uint64            `json:"memory_errors"` // writes of Config.Memory that failed

	Told map[Happening]uint64 `json:"-"` // events of the pair, whether or not anybody subscribed
}

// Happening is what may happen again and again: an event without its time and reason.
type Happening struct {
	Kind    string // as of Event
	Partner choose.Name
	To      string // the role or the breaker's state that it came to; empty for other kinds
}

// happening is what e is counted as.
func happening(e Event) Happening {
	h := Happening{Kind: e.Kind, Partner: e.Partner}
	switch e.Kind {
	case "role":
		h.To = e.Reason
	case "breaker":
		_, h.To, _ = strings.Cut(e.Reason, " to ")
	}
	return h
}

// Stats reads the counters. Safe for concurrent use.
func (p *Pair) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Fenced, s.Watchdog, s.Told = maps.Clone(s.Fenced), maps.Clone(s.Watchdog), maps.Clone(s.Told)
	s.MemoryErrors = p.memory.failures.Load()
	return s
}

// count changes the counters.
func (p *Pair) count(change func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.stats)
}
