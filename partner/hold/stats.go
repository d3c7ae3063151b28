package hold

import "time"

// Stats counts what the hold did since the start.
type Stats struct {
	Held     int           `json:"held"`        // waiting now, of all kinds: [Config] bounds each of them, and those that were sent before not at all
	Bytes    int64         `json:"bytes"`       // theirs
	Total    uint64        `json:"total"`       // ever let in
	Rejected uint64        `json:"rejected"`    // turned away because the hold was full
	Evicted  uint64        `json:"evicted"`     // refused after they were let in, to make room for a caller with less in the hold
	Expired  uint64        `json:"expired"`     // given up because the window was over
	Late     uint64        `json:"late"`        // given up because the window was over, although a principal served
	Left     uint64        `json:"left"`        // gone because their caller was
	Drained  uint64        `json:"drained"`     // let go to a principal
	MaxWait  time.Duration `json:"max_wait_ns"` // longest wait of a drained call
}

// Stats returns the counters.
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
