package partner

import (
	"maps"
	"strings"
)

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
	Partner Name
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
