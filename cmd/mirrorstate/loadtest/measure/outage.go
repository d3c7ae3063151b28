package measure

import (
	"slices"
	"strings"
	"time"
)

// Outage is a failover or fault, with the times that it took in the pair. All times are on the
// run's clock.
type Outage struct {
	Kind    string        // one of Kinds, or KindObserved
	Partner string        // the partner that it happened to; empty: unknown
	At      time.Duration // when it was asked for, or first seen
	Until   time.Duration // requests that are due before belong to it
	Next    time.Duration // answers from then on belong to the next one
	Serving time.Duration // when a partner served again
	Served  bool          // a partner served again; otherwise Serving means nothing
	Refused string        // why it did not happen; empty: it did
}

// afterTime is how long requests still belong to a failover after the last of these: it was made, its fault was lifted,
// a partner served again.
const afterTime = 4 * time.Second

// window returns how long a failover of this kind takes at least.
func window(kind string) time.Duration {
	if Recovery(kind) < FaultTime {
		return afterTime
	}
	return FaultTime + afterTime
}

// Outages returns the failovers that the load test made, and those that only the events show:
// others made these during the length of the run. The list is ordered by time. servers reports
// whether the events come from the database servers themselves.
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

// CountOutages counts the outages that can have changed the principal, and those that can not have.
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

// met reports whether the request was due or under way during the outage, or during the time that
// belongs to it.
func (o *Outage) met(s *Sample) bool { return o.Refused == "" && s.Done >= o.At && s.Due < o.Until }

// nextAfter returns the time of the first failover of the list that was not refused; if there is none, the largest
// time.
func nextAfter(list []Outage) time.Duration {
	for _, o := range list {
		if o.Refused == "" {
			return o.At
		}
	}
	return 1<<63 - 1
}

// covered reports whether a moment belongs to a failover of the list.
func covered(list []Outage, at time.Duration) bool {
	return slices.ContainsFunc(list, func(o Outage) bool { return o.Refused == "" && at > o.At-time.Second && at < o.At+window(o.Kind) })
}

// detect reports whether the last event is a failover that the load test did not ask for.
func detect(events []Event, servers bool) (Outage, bool) {
	e := events[len(events)-1]
	o := Outage{At: e.At, Partner: e.Partner}
	switch {
	case e.Kind == EventFault:
		o.Kind = strings.Replace(e.Detail, "stop", KindCrash, 1)
		return o, slices.Contains(Kinds, o.Kind) && e.Partner == principalBefore(events)
	case e.becamePrincipal() && e.Kind == EventRole:
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

// goneBefore reports whether the proxy had no principal before the last event, and since when.
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

// principalBefore returns the principal before the last event; empty: unknown.
func principalBefore(events []Event) string {
	for _, e := range slices.Backward(events[:len(events)-1]) {
		if e.Kind == EventPrincipal || e.becamePrincipal() {
			return e.Partner
		}
	}
	return ""
}

// serving returns when a partner served again, from the events of the database servers, or of the
// proxy where there are no others. If nothing happened to the principal, that is the start of the
// outage.
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

// Failover is what one failover cost one via.
type Failover struct {
	Kind           string   `json:"kind"`              // one of Kinds, or observed
	Partner        string   `json:"partner,omitempty"` // the partner that it happened to; empty: unknown
	AtS            float64  `json:"at_s"`              // when it was asked for, or first seen
	NoPrincipalMS  *float64 `json:"no_principal_ms"`   // from the last answer of the old principal until a partner served; null: no partner served again
	LongestStallMS float64  `json:"longest_stall_ms"`  // longest latency of the requests that belong to it
	ResumeMS       *float64 `json:"resume_ms"`         // from then until the first answer; null: there was no answer
	Failed         int64    `json:"failed"`            // failures among them
	Refused        string   `json:"refused,omitempty"` // why it did not happen
}

// LastAnswer returns the time of the last answer between the start of an outage and the moment a
// partner served again. Until then the old principal was alive. Without such an answer it returns
// the start.
func (r *Recorder) LastAnswer(o *Outage) time.Duration {
	last := o.At
	r.samples(func(s *Sample) {
		if s.Status != Failed && s.Done > last && s.Done <= o.Serving {
			last = s.Done
		}
	})
	return last
}

// answerMargin is a minimum gap. If the last answer of the old principal is at least this much older than the moment
// when a partner served again, a later answer can't come from the old principal.
const answerMargin = 20 * time.Millisecond

// FailoverOf returns what an outage cost this via. down is the result of [Recorder.LastAnswer].
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

// Milliseconds returns a time in milliseconds, exact to the microsecond.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Seconds returns a time in seconds, exact to the millisecond.
func Seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
