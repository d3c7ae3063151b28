package partner

import "maps"

// Stats counts what fencing and the watchdog did since the start.
type Stats struct {
	SplitBrains  uint64            `json:"split_brains"`  // how often both partners came to claim
	Fenced       map[string]uint64 `json:"fenced"`        // claims not believed, by reason: epoch, role-sequence, no-epoch, overruled; once per change
	Accepts      uint64            `json:"accepts"`       // operator's words obeyed
	Watchdog     map[string]uint64 `json:"watchdog"`      // decisions by action, once per change
	MemoryErrors uint64            `json:"memory_errors"` // writes of Config.Memory that failed
}

// Stats reads the counters. Safe for concurrent use.
func (p *Pair) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Fenced, s.Watchdog = maps.Clone(s.Fenced), maps.Clone(s.Watchdog)
	s.MemoryErrors = p.memory.failures.Load()
	return s
}

// count changes the counters.
func (p *Pair) count(change func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.stats)
}
