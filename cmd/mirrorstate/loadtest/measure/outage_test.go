package measure

import (
	"fmt"
	"testing"
	"time"
)

const second = time.Second

// serverEvent is an event of the database servers.
func serverEvent(at time.Duration, kind, partner, detail string) Event {
	return Event{At: at, Servers: true, Kind: kind, Partner: partner, Detail: detail}
}

// proxyEvent is an event of a proxy.
func proxyEvent(at time.Duration, kind, partner string) Event {
	return Event{At: at, Kind: kind, Partner: partner}
}

func TestOutages(t *testing.T) {
	for _, tt := range []struct {
		name           string
		attempts       []Attempt
		events         []Event
		noServerEvents bool // there are no events of the database servers
		want           string
	}{
		{"a planned failover that takes no time", []Attempt{{Kind: KindManual, At: 4 * second, Partner: "a"}},
			[]Event{serverEvent(4*second+9*time.Millisecond, EventRole, "b", "PRINCIPAL: failover, sequence 2"), serverEvent(4*second+9*time.Millisecond, EventRole, "a", "MIRROR: failover")},
			false, "manual 4s until 8.009s serving 4.009s"},
		{"crash", []Attempt{{Kind: KindCrash, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			[]Event{serverEvent(10*second+time.Millisecond, EventFault, "a", "crash"), serverEvent(10*second+5*time.Millisecond, EventRole, "b", "PRINCIPAL: automatic failover, sequence 3"),
				serverEvent(16*second, EventFault, "a", "none"), serverEvent(16*second+20*time.Millisecond, EventRole, "a", "MIRROR: the other partner has the more recent role change")},
			false, "crash 10s until 20s serving 10.005s"},
		{"a freeze, and a late failover", []Attempt{{Kind: KindFreeze, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			[]Event{serverEvent(15*second, EventRole, "b", "PRINCIPAL: automatic failover, sequence 3")},
			false, "freeze 10s until 20s serving 15s"},
		{"crash without a witness", []Attempt{{Kind: KindCrash, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			[]Event{serverEvent(16*second+30*time.Millisecond, EventState, "a", "open")},
			false, "crash 10s until 20.03s serving 16.03s"},
		{"freeze without a witness", []Attempt{{Kind: KindFreeze, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			nil, false, "freeze 10s until 20s serving 16s"},
		{"sever", []Attempt{{Kind: KindSever, At: 10 * second, Partner: "a"}}, nil, false, "sever 10s until 14s serving 10s"},
		{"the next failover ends the sever", []Attempt{{Kind: KindSever, At: 10 * second, Partner: "a"}, {Kind: KindManual, At: 11 * second, Partner: "a"}},
			[]Event{serverEvent(11*second+time.Millisecond, EventRole, "b", "PRINCIPAL: failover, sequence 2")},
			false, "sever 10s until 11s serving 10s, manual 11s until 15.001s serving 11.001s"},
		{"refused", []Attempt{{Kind: KindManual, At: 10 * second, Refused: "not synchronized"}}, nil, false, "manual 10s until 14s refused"},
		{"an operator's", nil,
			[]Event{serverEvent(-second, EventRole, "a", "PRINCIPAL: automatic failover, sequence 1"), serverEvent(20*second, EventRole, "b", "PRINCIPAL: failover, sequence 2")},
			false, "manual 20s until 24s serving 20s"},
		{"failovers of an operator before and after the run", nil,
			[]Event{serverEvent(-second, EventRole, "b", "PRINCIPAL: failover, sequence 2"), serverEvent(61*second, EventRole, "a", "PRINCIPAL: failover, sequence 3")},
			false, ""},
		{"a fault of an operator", nil,
			[]Event{proxyEvent(-second, EventPrincipal, "a"), serverEvent(20*second, EventFault, "a", "stop"), serverEvent(20*second+8*time.Millisecond, EventRole, "b", "PRINCIPAL: automatic failover, sequence 2")},
			false, "crash 20s until 30s serving 20.008s"},
		{"an operator breaks the mirror", nil,
			[]Event{proxyEvent(-second, EventPrincipal, "a"), serverEvent(20*second, EventFault, "b", "crash"), serverEvent(26*second, EventFault, "b", "none")},
			false, ""},
		{"events of a proxy only", nil,
			[]Event{proxyEvent(-second, EventPrincipal, "a"), proxyEvent(20*second, EventNoPrincipal, ""), proxyEvent(23*second, EventPrincipal, "b"), proxyEvent(40*second, EventPrincipal, "b")},
			true, "observed 20s until 30s serving 23s"},
		{"no principal for a short time", nil,
			[]Event{proxyEvent(-second, EventPrincipal, "a"), proxyEvent(20*second, EventNoPrincipal, ""), proxyEvent(21*second, EventPrincipal, "a")},
			true, "observed 20s until 30s serving 21s"},
		{"a planned failover, and events of a proxy only", []Attempt{{Kind: KindManual, At: 4 * second, Partner: "a"}},
			[]Event{proxyEvent(-second, EventPrincipal, "a"), proxyEvent(5*second, EventPrincipal, "b")},
			true, "manual 4s until 9s serving 5s"},
		{"no partner serves again", []Attempt{{Kind: KindManual, At: 4 * second, Partner: "a"}}, nil, true, "manual 4s until 8s never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for i, o := range Outages(tt.attempts, tt.events, !tt.noServerEvents, time.Minute) {
				if i > 0 {
					got += ", "
				}
				got += fmt.Sprintf("%s %v until %v", o.Kind, o.At, o.Until)
				switch {
				case o.Refused != "":
					got += " refused"
				case o.Served:
					got += fmt.Sprintf(" serving %v", o.Serving)
				default:
					got += " never"
				}
			}
			if got != tt.want {
				t.Errorf("the outages are\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// Requests are due every 10 ms. The principal ends at 10 s, another partner serves from 10.1 s, and
// its first answer comes at 10.115 s.
func TestRecorder_Failover(t *testing.T) {
	r := NewRecorder(20 * second)
	at := func(ms int) time.Duration { return 10*second + time.Duration(ms)*time.Millisecond }
	for i := range 2000 {
		due := time.Duration(i) * 10 * time.Millisecond
		s := answered(due, time.Millisecond)
		switch {
		case due == at(0): // answered by the old principal in time
			s.Done = at(3)
		case due > at(0) && due <= at(110):
			s.Done = at(115) + (due-at(0))/10
		case due == at(120):
			s.Status = Failed
		}
		r.Add(s)
	}
	o := Outage{Kind: KindCrash, At: at(0), Until: at(10_000), Serving: at(100), Served: true, Next: time.Hour}
	down := r.LastAnswer(&o)
	if down != at(3) {
		t.Errorf("the old principal was last known to serve at %v, want %v", down, at(3))
	}
	f := r.FailoverOf(&o, down)
	if *f.NoPrincipalMS != 97 || *f.ResumeMS != 16 || f.LongestStallMS != 106 || f.Failed != 1 {
		t.Errorf("the failover cost %v ms without a principal, resumed after %v ms, stalled %v ms, failed %d; want 97, 16, 106, 1",
			*f.NoPrincipalMS, *f.ResumeMS, f.LongestStallMS, f.Failed)
	}
}

// An answer of the old principal that arrives after the role change is not taken for the new
// principal's.
func TestRecorder_FailoverLateAnswer(t *testing.T) {
	r := NewRecorder(20 * second)
	at := func(ms int) time.Duration { return 10*second + time.Duration(ms)*time.Millisecond }
	r.Add(Sample{Due: at(1), Sent: at(1), Done: at(2)})
	r.Add(Sample{Due: at(1), Sent: at(1), Done: at(6)}) // a late answer of the old principal
	r.Add(Sample{Due: at(4), Sent: at(4), Done: at(30)})
	o := Outage{Kind: KindManual, At: at(0), Until: at(4000), Serving: at(5), Served: true, Next: time.Hour}
	f := r.FailoverOf(&o, r.LastAnswer(&o))
	if *f.NoPrincipalMS != 3 || *f.ResumeMS != 25 {
		t.Errorf("%v ms without a principal, resumed after %v ms, want 3 and 25", *f.NoPrincipalMS, *f.ResumeMS)
	}
}

// A request that the next failover delays belongs to the next one only.
func TestRecorder_FailoverBeforeAnother(t *testing.T) {
	r := NewRecorder(20 * second)
	r.Add(Sample{Due: 11 * second, Sent: 11 * second, Done: 11*second + 5*time.Millisecond})
	r.Add(Sample{Due: 12*second - time.Millisecond, Sent: 12 * second, Done: 12*second + 400*time.Millisecond})
	list := Outages([]Attempt{{Kind: KindSever, At: 10 * second}, {Kind: KindManual, At: 11500 * time.Millisecond, Refused: "no"}, {Kind: KindSever, At: 12 * second}}, nil, true, time.Minute)
	before, after := r.FailoverOf(&list[0], list[0].At), r.FailoverOf(&list[2], list[2].At)
	if before.LongestStallMS != 5 || after.LongestStallMS != 401 {
		t.Errorf("the longest stalls are %v and %v ms, want 5 and 401", before.LongestStallMS, after.LongestStallMS)
	}
}

// If no partner serves again, or nothing is answered again, the times are missing.
func TestRecorder_FailoverForGood(t *testing.T) {
	r := NewRecorder(20 * second)
	r.Add(Sample{Due: 11 * second, Sent: 11 * second, Done: 12 * second, Status: Failed})
	o := Outage{Kind: KindManual, At: 10 * second, Until: 14 * second, Next: time.Hour}
	if f := r.FailoverOf(&o, o.At); f.NoPrincipalMS != nil || f.ResumeMS != nil || f.Failed != 1 {
		t.Errorf("the failover cost %+v", f)
	}
}

// The latencies outside the failovers are those of all answers except the ones that met an outage.
// A refused failover is no outage.
func TestRecorder_OutsideFailovers(t *testing.T) {
	r := NewRecorder(40 * second)
	for i := range 2000 {
		due := time.Duration(i) * 20 * time.Millisecond
		took := time.Millisecond
		if due >= 10*second && due < 12*second {
			took = 2 * second
		}
		r.Add(Sample{Due: due, Sent: due, Done: due + took})
	}
	list := []Outage{{Kind: KindCrash, At: 10 * second, Until: 16 * second}, {Kind: KindSever, At: 11 * second, Until: 15 * second}, {Kind: KindManual, At: 30 * second, Until: 34 * second, Refused: "no"}}
	all, outside := r.total.latency(), r.OutsideFailovers(list)
	if all.P99 < 1900 || outside.P99 > 1.1 || outside.Max > 1.1 {
		t.Errorf("p99 of all %v ms, outside the failovers %v ms and at most %v", all.P99, outside.P99, outside.Max)
	}
	if failovers, faults := CountOutages(list); failovers != 1 || faults != 1 {
		t.Errorf("%d failovers and %d faults, want one each", failovers, faults)
	}
	if got := r.OutsideFailovers([]Outage{{Kind: KindCrash, Until: time.Hour}}); got != nil {
		t.Errorf("all met the failover, and %+v did not", got)
	}
}
