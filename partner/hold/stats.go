package hold

import "time"

// Stats counts what the hold did since the start.
type Stats struct {
	Held     int           `json:"held"`        // waiting calls of all kinds; [Config] bounds each kind, but not calls that may have been executed already
	Bytes    int64         `json:"bytes"`       // Call.Bytes of the waiting calls
	Total    uint64        `json:"total"`       // calls that waited since the start
	Rejected uint64        `json:"rejected"`    // calls refused because the hold was full
	Evicted  uint64        `json:"evicted"`     // waiting calls refused later, to make room for a caller with fewer
	Expired  uint64        `json:"expired"`     // calls whose time limit was over, without a principal
	Late     uint64        `json:"late"`        // calls whose time limit was over although a principal served
	Left     uint64        `json:"left"`        // calls whose caller left
	Drained  uint64        `json:"drained"`     // calls released to a principal
	MaxWait  time.Duration `json:"max_wait_ns"` // longest wait of a released call
}

// Stats returns the counters, and what waits now.
func (h *Hold[T]) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Held, s.Bytes = 0, 0
	for i := range h.lanes {
		for _, l := range []*lane[T]{&h.lanes[i].reads, &h.lanes[i].writes} {
			size := l.pool.Size()
			s.Held += size.Count
			s.Bytes += size.Bytes
		}
	}
	return s
}
