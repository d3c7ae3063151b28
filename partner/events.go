package partner

import (
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Event is something that happened to the pair.
type Event struct {
	At      time.Time   `json:"at"`                // when it happened
	Kind    string      `json:"kind"`              // principal, no-principal, role, breaker, split-brain, fenced, accepted, watchdog
	Partner choose.Name `json:"partner,omitempty"` // the partner concerned; empty if it is the pair
	Epoch   int64       `json:"epoch,omitempty"`   // 0 if there is none
	Reason  string      `json:"reason,omitempty"`  // why, as text; for kind role the new role, for kind breaker "OLD to NEW"
}

// Subscribe returns the pair's events from now on. A slow reader misses events. The caller must call cancel,
// which closes the channel. Safe for concurrent use.
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

// EventKey is an event without its time and reason, to count equal events.
type EventKey struct {
	Kind    string // as in Event
	Partner choose.Name
	To      string // the new role or the new state of the breaker; empty for other kinds
}

// keyOf returns the key under which e is counted.
func keyOf(e Event) EventKey {
	h := EventKey{Kind: e.Kind, Partner: e.Partner}
	switch e.Kind {
	case "role":
		h.To = e.Reason
	case "breaker":
		_, h.To, _ = strings.Cut(e.Reason, " to ")
	}
	return h
}

// publish sends an event to every subscriber that has room for it, and counts it. It logs changes of a breaker,
// which nothing else logs.
func (p *Pair) publish(e Event) {
	if e.Kind == "breaker" {
		p.cfg.Logger.Info("breaker changed", "partner", e.Partner, "change", e.Reason)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Published[keyOf(e)]++
	for s := range p.subscribers {
		select {
		case s <- e:
		default:
		}
	}
}

// announceRole logs and publishes what changed at partner i.
func (p *Pair) announceRole(before, now choose.View, i int) {
	o, was := now.Observed[i], before.Observed[i]
	if was.Began.IsZero() || o.Role != was.Role {
		p.publish(Event{At: time.Now(), Kind: "role", Partner: o.Partner, Reason: string(o.Role)})
		p.cfg.Logger.Info("role changed", "partner", o.Partner, "role", o.Role, "state", o.Mirroring)
	}
	if o.MissingRight != "" && o.MissingRight != was.MissingRight {
		p.cfg.Logger.Warn("role not visible", "partner", o.Partner, "reason", o.MissingRight)
	}
	if o.Err != nil && (was.Err == nil || o.Reachable != was.Reachable) {
		p.cfg.Logger.Warn("probe failed", "partner", o.Partner, "reachable", o.Reachable, "error", link.ErrorText(o.Err))
	}
}

// announce logs, counts and publishes what changed for the pair.
func (p *Pair) announce(before, now choose.View) {
	p.announceClaims(before, now)
	switch a := now.Accepted; {
	case now.Serving && (!before.Serving || a != before.Accepted):
		p.publish(Event{At: time.Now(), Kind: "principal", Partner: a.Partner, Epoch: a.Epoch, Reason: now.Decision.Reason})
		p.cfg.Logger.Info("principal", "partner", a.Partner, "epoch", a.Epoch, "role_sequence", a.Sequence, "reason", now.Decision.Reason)
		if !a.Extended {
			p.stockWarning.Do(func() {
				p.cfg.Logger.Warn("the schema is the stock one: no epoch fences a former principal, and the outcome of a call without an answer "+
					"may stay unknown; extend the schema with mirrorstate install", "database", p.cfg.Database)
			})
		}
	case before.Serving && !now.Serving:
		p.publish(Event{At: time.Now(), Kind: "no-principal", Reason: now.Decision.Reason})
		p.cfg.Logger.Warn("no principal", "reason", now.Decision.Reason)
	}
}

// announceClaims logs, counts and publishes a split brain, and claims that are ignored.
func (p *Pair) announceClaims(before, now choose.View) {
	split := now.Decision.SplitBrain
	if split && now.Claims != before.Claims {
		p.publish(Event{At: time.Now(), Kind: "split-brain", Partner: now.Decision.Serve, Reason: now.Decision.Reason})
		p.cfg.Logger.Error("both partners claim to be principal", "serving", now.Decision.Serve, "reason", now.Decision.Reason,
			"a", now.Claims[0], "b", now.Claims[1])
	}
	if !split && before.Decision.SplitBrain {
		p.cfg.Logger.Info("the split brain has ended", "reason", now.Decision.Reason)
	}
	p.count(func(s *Stats) {
		if split && !before.Decision.SplitBrain {
			s.SplitBrains++
		}
	})
	for i, kind := range now.Fenced {
		if kind == "" || kind == before.Fenced[i] {
			continue
		}
		_, why := choose.Stale(now.Observed[i], before.Accepted)
		p.count(func(s *Stats) { s.Fenced[kind]++ })
		p.publish(Event{At: time.Now(), Kind: "fenced", Partner: now.Observed[i].Partner, Epoch: now.Observed[i].Epoch, Reason: why})
		p.cfg.Logger.Warn("claim of a former principal ignored", "partner", now.Observed[i].Partner, "why", why, "claim", choose.ClaimOf(now.Observed[i]))
	}
}
