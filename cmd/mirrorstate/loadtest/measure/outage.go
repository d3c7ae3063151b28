package measure

import (
	"slices"
	"strings"
	"time"
)

// Outage is a failover as the pair went through it.
type Outage struct {
	Kind    string
	Partner string        // whom it happened to; empty: unknown
	At      time.Duration // when it was asked for, or was noticed
	Until   time.Duration // what is due until then belongs to it
	Next    time.Duration // what is answered from then on belongs to the next one
	Serving time.Duration // when a partner served again
	Served  bool          // one did
	Refused string        // why it was not made
}

// afterTime is how long what happens after a failover belongs to it: after it was made, the
// fault was lifted, or a partner served again, whichever is last.
const afterTime = 4 * time.Second

// window is how long a failover of that kind is at the least.
func window(kind string) time.Duration {
	if Recovery(kind) < FaultTime {
		return afterTime
	}
	return FaultTime + afterTime
}

// Outages are the failovers that were made, and those that the events tell of besides:
// somebody else's, while it was measured. servers says that the servers themselves tell what they do.
func Outages(attempts []Attempt, events []Event, servers bool, length time.Duration) []Outage {
	var list []Outage
	lifted := map[time.Duration]time.Duration{}
	for _, m := range attempts {
		list = append(list, Outage{Kind: m.Kind, Partner: m.Partner, At: m.At, Refused: m.Refused})
		lifted[m.At] = m.Lifted
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.At - b.At) })
	for i := range events {
		if o, ok := detect(events[:i+1], servers); ok && o.At >= 0 && o.At < length && !covered(list, o.At) {
			list = append(list, o)
		}
	}
	slices.SortStableFunc(list, func(a, b Outage) int { return int(a.At - b.At) })
	for i := range list {
		o := &list[i]
		o.Next = nextAfter(list[i+1:])
		o.Serving, o.Served = serving(o, lifted[o.At], o.Next, events, servers)
		o.Until = min(o.Next, max(o.At+window(o.Kind), o.Serving+afterTime))
	}
	return list
}

// CountOutages are how many of them could make another partner principal, and how many could not.
func CountOutages(list []Outage) (failovers, faults int) {
	for _, o := range list {
		switch {
		case o.Refused != "":
		case o.Kind == KindSever, o.Kind == KindPartition:
			faults++
		default:
			failovers++
		}
	}
	return failovers, faults
}

// met tells whether the request was due or under way in the outage, or in what belongs to it.
func (o *Outage) met(s *Sample) bool { return o.Refused == "" && s.Done >= o.At && s.Due < o.Until }

// nextAfter is when the first of the failovers that came about was made; never, if none did.
func nextAfter(list []Outage) time.Duration {
	for _, o := range list {
		if o.Refused == "" {
			return o.At
		}
	}
	return 1<<63 - 1
}

// covered tells whether something that happened then is part of a failover that is known.
func covered(list []Outage, at time.Duration) bool {
	return slices.ContainsFunc(list, func(o Outage) bool { return o.Refused == "" && at > o.At-time.Second && at < o.At+window(o.Kind) })
}

// detect tells whether the last event is a failover that nobody asked for here.
func detect(events []Event, servers bool) (Outage, bool) {
	e := events[len(events)-1]
	o := Outage{At: e.At, Partner: e.Partner}
	switch {
	case e.Kind == eventFault:
		o.Kind = strings.Replace(e.Detail, "stop", KindCrash, 1)
		return o, slices.Contains(Kinds, o.Kind) && e.Partner == principalBefore(events)
	case e.becamePrincipal() && e.Kind == eventRole:
		_, why, _ := strings.Cut(e.Detail, ": ")
		o.Partner = ""
		switch {
		case strings.HasPrefix(why, "failover"):
			o.Kind = KindManual
		case strings.HasPrefix(why, "forced service"):
			o.Kind = KindForce
		default:
			o.Kind = KindObserved
		}
		return o, true
	case e.Kind == EventPrincipal && !servers:
		before := principalBefore(events)
		o.Kind, o.Partner = KindObserved, before
		gone, since := goneBefore(events)
		if gone {
			o.At = since
		}
		return o, before != "" && (gone || before != e.Partner)
	}
	return o, false
}

// goneBefore tells whether a proxy had no principal before the last event, and since when.
func goneBefore(events []Event) (gone bool, since time.Duration) {
	for _, e := range slices.Backward(events[:len(events)-1]) {
		switch e.Kind {
		case EventNoPrincipal:
			gone, since = true, e.At
		case EventPrincipal:
			return gone, since
		}
	}
	return gone, since
}

// principalBefore is who was principal before the last event; empty: unknown.
func principalBefore(events []Event) string {
	for _, e := range slices.Backward(events[:len(events)-1]) {
		if e.Kind == EventPrincipal || e.becamePrincipal() {
			return e.Partner
		}
	}
	return ""
}

// serving is when a partner served again: by the word of the servers, or by that of the
// proxy where there is no other. A pair whose principal nothing happened to served all along.
func serving(o *Outage, lifted, next time.Duration, events []Event, servers bool) (time.Duration, bool) {
	if o.Refused != "" {
		return o.At, false
	}
	for _, e := range events {
		proxys := e.Kind == EventPrincipal && !servers
		if e.At >= o.At && e.At < next && (proxys || e.becamePrincipal()) {
			return e.At, true
		}
	}
	switch o.Kind {
	case KindSever, KindPartition:
		return o.At, true
	case KindCrash, KindFreeze, KindIsolate:
		return lifted, lifted > 0
	}
	return 0, false
}

// Failover is what one failover cost.
type Failover struct {
	Kind           string   `json:"kind"`
	Partner        string   `json:"partner,omitempty"` // whom it happened to
	AtS            float64  `json:"at_s"`
	NoPrincipalMS  *float64 `json:"no_principal_ms"` // null: nobody served again
	LongestStallMS float64  `json:"longest_stall_ms"`
	ResumeMS       *float64 `json:"resume_ms"` // null: nothing was answered after
	Failed         int64    `json:"failed"`
	Refused        string   `json:"refused,omitempty"` // why it was not made
}

// LastAnswer is when the last request was answered from the failover on and before a
// partner served again: until then the old principal did. No sooner than it was asked for.
func (r *Recorder) LastAnswer(o *Outage) time.Duration {
	last := o.At
	r.samples(func(s *Sample) {
		if s.Status != Failed && s.Done > last && s.Done <= o.Serving {
			last = s.Done
		}
	})
	return last
}

// answerMargin is by how much an answer that comes after a partner serves again must be later than
// the last one before, so that it can't have been on its way already.
const answerMargin = 20 * time.Millisecond

// FailoverOf is what a failover cost this via. down is when the old principal was last known to serve.
func (r *Recorder) FailoverOf(o *Outage, down time.Duration) Failover {
	f := Failover{Kind: o.Kind, Partner: o.Partner, AtS: Seconds(o.At), Refused: o.Refused}
	if o.Refused != "" {
		return f
	}
	var resumed time.Duration
	found := false
	r.samples(func(s *Sample) {
		if s.Done < o.At || s.Due >= o.Until || s.Done >= o.Next {
			return
		}
		f.LongestStallMS = max(f.LongestStallMS, Milliseconds(s.latency()))
		if s.Status == Failed {
			f.Failed++
			return
		}
		if o.Served && s.Done >= o.Serving && (s.Sent >= down || o.Serving-down >= answerMargin) && (!found || s.Done < resumed) {
			resumed, found = s.Done, true
		}
	})
	if o.Served {
		f.NoPrincipalMS = new(Milliseconds(o.Serving - down))
	}
	if found {
		f.ResumeMS = new(Milliseconds(resumed - o.Serving))
	}
	return f
}

// Milliseconds is a time in milliseconds, to the microsecond.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Seconds is a time in seconds, to the millisecond.
func Seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
