package partner

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Status is the status of the pair, as GET /v1/pair shows it.
type Status struct {
	Database     string          `json:"database"`      // Config.Database
	Topology     string          `json:"topology"`      // embedded, mirroring, availability-group, plain, unknown
	Schema       string          `json:"schema"`        // stock or extended; stock before the first principal
	Principal    choose.Name     `json:"principal"`     // empty if no partner is known to be principal
	Epoch        int64           `json:"epoch"`         // of the last accepted principal; 0 on a stock schema
	RoleSequence int64           `json:"role_sequence"` // of the last accepted principal; 0 if unknown
	Exposed      bool            `json:"exposed"`       // the principal acknowledges commits that its mirror may not have
	ExposedRule  string          `json:"exposed_rule"`  // allow or refuse, as configured
	SplitBrain   bool            `json:"split_brain"`   // both partners claim to be a writable principal
	Claims       []choose.Claim  `json:"claims"`        // both claims during a split brain; otherwise empty
	Reason       string          `json:"reason"`        // why this partner is principal, or why none is
	Holding      int             `json:"holding"`       // calls waiting for a principal
	Hold         hold.Stats      `json:"hold"`          // the hold's counters
	Partners     []PartnerStatus `json:"partners"`      // a, then b
	Watchdog     WatchdogStatus  `json:"watchdog"`      // Enabled is false if there is none
}

// PartnerStatus is what is known about one partner.
type PartnerStatus struct {
	Name      choose.Name `json:"name"`
	Address   string      `json:"address"`    // host:port
	Role      choose.Role `json:"role"`       // principal, mirror or unknown
	State     string      `json:"state"`      // mirroring_state_desc, or the state of the database if that is NULL
	Safety    string      `json:"safety"`     // FULL or OFF; empty if unknown
	Breaker   string      `json:"breaker"`    // closed, open, half-open
	LatencyMS float64     `json:"latency_ms"` // round trip of the last answered probe
	ClockMS   float64     `json:"clock_ms"`   // the server's clock minus ours
	LastError string      `json:"last_error"` // error of the last probe, and the right that the login lacks to see the role; empty if neither applies
	Seen      time.Time   `json:"seen"`       // when the partner last answered; the zero time if never
	Reachable bool        `json:"reachable"`  // the last probe was answered
	SinceS    float64     `json:"since_s"`    // seconds since Reachable last changed; if false, since the first new connection that failed
}

// Status returns what is known now. It sends nothing. Safe for concurrent use.
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

// partnerStatus returns the status of partner i.
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
	// In a pair without mirroring, the partner that serves is shown as principal.
	if !o.HasRole() && v.Serving && v.Accepted.Partner == m.name {
		s.Role = choose.RolePrincipal
	}
	if s.State == "" {
		s.State = o.State
	}
	return s
}

// Sees implements Observer. It returns what the last probes found and sends nothing. It returns Closed after
// Run has ended. Safe for concurrent use.
func (p *Pair) Sees(_ context.Context, n choose.Name) (reachable bool, since time.Duration, err error) {
	select {
	case <-p.closed:
		return false, 0, Closed
	default:
	}
	i := n.Index()
	p.mu.Lock()
	o, from := p.view.Observed[i], p.view.Since(i)
	p.mu.Unlock()
	now := time.Now()
	switch {
	case o.Began.IsZero() || now.After(o.ValidUntil):
		return false, 0, fmt.Errorf("partner %s was not probed recently", n)
	case from.IsZero():
		return o.Reachable, 0, nil
	}
	return o.Reachable, now.Sub(from), nil
}

var _ choose.Observer = (*Pair)(nil)

// probeProblem returns the error of the last probe and the right that the login lacks; empty if there is
// neither.
func probeProblem(o choose.Observation) string {
	text := link.ErrorText(o.Err)
	if text != "" && o.MissingRight != "" {
		text += "; "
	}
	return text + o.MissingRight
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Ready reports whether calls can be expected to succeed: a principal serves, or has been lost for less than
// the hold's window. Safe for concurrent use.
func (p *Pair) Ready() bool { return p.withoutPrincipal() < p.cfg.Hold.Window }

// Holding reports whether calls have to wait for a principal, or writes for its mirror. It takes no lock and
// sends nothing.
func (p *Pair) Holding() bool { return p.hold.Holding() }

// Stats counts what happened to the pair since the start.
type Stats struct {
	SplitBrains  uint64            `json:"split_brains"`  // how often a split brain began
	Fenced       map[string]uint64 `json:"fenced"`        // ignored claims by reason: epoch, role-sequence, no-epoch, overruled; counted once per change
	Accepts      uint64            `json:"accepts"`       // successful calls of Accept
	Watchdog     map[string]uint64 `json:"watchdog"`      // the watchdog's decisions by action, counted once per change
	MemoryErrors uint64            `json:"memory_errors"` // failed writes of Config.Memory

	Published map[EventKey]uint64 `json:"-"` // published events, whether or not there was a subscriber
}

// Stats returns a copy of the counters. Safe for concurrent use.
func (p *Pair) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Fenced, s.Watchdog, s.Published = maps.Clone(s.Fenced), maps.Clone(s.Watchdog), maps.Clone(s.Published)
	s.MemoryErrors = p.memory.failures.Load()
	return s
}

// count changes the counters under the lock.
func (p *Pair) count(change func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.stats)
}
