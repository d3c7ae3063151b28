package loadtest

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const second = time.Second

// said is an event of the servers.
func said(at time.Duration, kind, partner, detail string) Event {
	return Event{At: at, Servers: true, Kind: kind, Partner: partner, Detail: detail}
}

// seen is an event of a proxy.
func seen(at time.Duration, kind, partner string) Event {
	return Event{At: at, Kind: kind, Partner: partner}
}

func TestOutages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		made   []Made
		events []Event
		blind  bool // the servers tell nothing
		want   string
	}{
		{"planned, and done at once", []Made{{Kind: kindManual, At: 4 * second, Partner: "a"}},
			[]Event{said(4*second+9*time.Millisecond, eventRole, "b", "PRINCIPAL: failover, sequence 2"), said(4*second+9*time.Millisecond, eventRole, "a", "MIRROR: failover")},
			false, "manual 4s until 8.009s serving 4.009s"},
		{"crash", []Made{{Kind: kindCrash, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			[]Event{said(10*second+time.Millisecond, eventFault, "a", "crash"), said(10*second+5*time.Millisecond, eventRole, "b", "PRINCIPAL: automatic failover, sequence 3"),
				said(16*second, eventFault, "a", "none"), said(16*second+20*time.Millisecond, eventRole, "a", "MIRROR: the other partner has the more recent role change")},
			false, "crash 10s until 20s serving 10.005s"},
		{"freeze, and taken over late", []Made{{Kind: kindFreeze, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			[]Event{said(15*second, eventRole, "b", "PRINCIPAL: automatic failover, sequence 3")},
			false, "freeze 10s until 20s serving 15s"},
		{"crash without a witness", []Made{{Kind: kindCrash, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			[]Event{said(16*second+30*time.Millisecond, eventState, "a", "open")},
			false, "crash 10s until 20.03s serving 16.03s"},
		{"freeze without a witness", []Made{{Kind: kindFreeze, At: 10 * second, Partner: "a", Lifted: 16 * second}},
			nil, false, "freeze 10s until 20s serving 16s"},
		{"sever", []Made{{Kind: kindSever, At: 10 * second, Partner: "a"}}, nil, false, "sever 10s until 14s serving 10s"},
		{"the next one ends it", []Made{{Kind: kindSever, At: 10 * second, Partner: "a"}, {Kind: kindManual, At: 11 * second, Partner: "a"}},
			[]Event{said(11*second+time.Millisecond, eventRole, "b", "PRINCIPAL: failover, sequence 2")},
			false, "sever 10s until 11s serving 10s, manual 11s until 15.001s serving 11.001s"},
		{"refused", []Made{{Kind: kindManual, At: 10 * second, Refused: "not synchronized"}}, nil, false, "manual 10s until 14s refused"},
		{"an operator's", nil,
			[]Event{said(-second, eventRole, "a", "PRINCIPAL: automatic failover, sequence 1"), said(20*second, eventRole, "b", "PRINCIPAL: failover, sequence 2")},
			false, "manual 20s until 24s serving 20s"},
		{"an operator's, before and after", nil,
			[]Event{said(-second, eventRole, "b", "PRINCIPAL: failover, sequence 2"), said(61*second, eventRole, "a", "PRINCIPAL: failover, sequence 3")},
			false, ""},
		{"an operator's fault", nil,
			[]Event{seen(-second, eventPrincipal, "a"), said(20*second, eventFault, "a", "stop"), said(20*second+8*time.Millisecond, eventRole, "b", "PRINCIPAL: automatic failover, sequence 2")},
			false, "crash 20s until 30s serving 20.008s"},
		{"an operator breaks the mirror", nil,
			[]Event{seen(-second, eventPrincipal, "a"), said(20*second, eventFault, "b", "crash"), said(26*second, eventFault, "b", "none")},
			false, ""},
		{"a pair that only a proxy tells of", nil,
			[]Event{seen(-second, eventPrincipal, "a"), seen(20*second, eventNoPrincipal, ""), seen(23*second, eventPrincipal, "b"), seen(40*second, eventPrincipal, "b")},
			true, "observed 20s until 30s serving 23s"},
		{"a principal that is gone for a moment", nil,
			[]Event{seen(-second, eventPrincipal, "a"), seen(20*second, eventNoPrincipal, ""), seen(21*second, eventPrincipal, "a")},
			true, "observed 20s until 30s serving 21s"},
		{"planned, and only a proxy tells", []Made{{Kind: kindManual, At: 4 * second, Partner: "a"}},
			[]Event{seen(-second, eventPrincipal, "a"), seen(5*second, eventPrincipal, "b")},
			true, "manual 4s until 9s serving 5s"},
		{"never again", []Made{{Kind: kindManual, At: 4 * second, Partner: "a"}}, nil, true, "manual 4s until 8s never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for i, o := range outages(tt.made, tt.events, !tt.blind, time.Minute) {
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

// What a failover cost: requests every 10 ms; the principal dies at 10 s, another serves at
// 10.1 s, and the first answer of it comes at 10.115 s.
func TestRecorder_Failover(t *testing.T) {
	r := NewRecorder(20 * second)
	at := func(ms int) time.Duration { return 10*second + time.Duration(ms)*time.Millisecond }
	for i := range 2000 {
		due := time.Duration(i) * 10 * time.Millisecond
		s := sampled(due, time.Millisecond)
		switch {
		case due == at(0): // answered by the old one in time
			s.Done = at(3)
		case due > at(0) && due <= at(110):
			s.Done = at(115) + (due-at(0))/10
		case due == at(120):
			s.Fate = Failed
		}
		r.Add(s)
	}
	o := Outage{Kind: kindCrash, At: at(0), Until: at(10_000), Serving: at(100), Served: true, Next: time.Hour}
	down := r.lastAnswer(&o)
	if down != at(3) {
		t.Errorf("the old principal was last known to serve at %v, want %v", down, at(3))
	}
	f := r.failover(&o, down)
	if *f.NoPrincipalMS != 97 || *f.ResumeMS != 16 || f.LongestStallMS != 106 || f.Failed != 1 {
		t.Errorf("the failover cost %v ms without a principal, resumed after %v ms, stalled %v ms, failed %d; want 97, 16, 106, 1",
			*f.NoPrincipalMS, *f.ResumeMS, f.LongestStallMS, f.Failed)
	}
}

// An answer that was on its way when roles changed is none of the new principal's.
func TestRecorder_FailoverStraggler(t *testing.T) {
	r := NewRecorder(20 * second)
	at := func(ms int) time.Duration { return 10*second + time.Duration(ms)*time.Millisecond }
	r.Add(Sample{Due: at(1), Sent: at(1), Done: at(2)})
	r.Add(Sample{Due: at(1), Sent: at(1), Done: at(6)}) // the old one's, and slow on its way
	r.Add(Sample{Due: at(4), Sent: at(4), Done: at(30)})
	o := Outage{Kind: kindManual, At: at(0), Until: at(4000), Serving: at(5), Served: true, Next: time.Hour}
	f := r.failover(&o, r.lastAnswer(&o))
	if *f.NoPrincipalMS != 3 || *f.ResumeMS != 25 {
		t.Errorf("%v ms without a principal, resumed after %v ms, want 3 and 25", *f.NoPrincipalMS, *f.ResumeMS)
	}
}

// A request that the next failover delays is the next one's alone.
func TestRecorder_FailoverBeforeAnother(t *testing.T) {
	r := NewRecorder(20 * second)
	r.Add(Sample{Due: 11 * second, Sent: 11 * second, Done: 11*second + 5*time.Millisecond})
	r.Add(Sample{Due: 12*second - time.Millisecond, Sent: 12 * second, Done: 12*second + 400*time.Millisecond})
	list := outages([]Made{{Kind: kindSever, At: 10 * second}, {Kind: kindManual, At: 11500 * time.Millisecond, Refused: "no"}, {Kind: kindSever, At: 12 * second}}, nil, true, time.Minute)
	before, after := r.failover(&list[0], list[0].At), r.failover(&list[2], list[2].At)
	if before.LongestStallMS != 5 || after.LongestStallMS != 401 {
		t.Errorf("the longest stalls are %v and %v ms, want 5 and 401", before.LongestStallMS, after.LongestStallMS)
	}
}

// Where nobody serves or nothing is answered again, that is said and not guessed.
func TestRecorder_FailoverForGood(t *testing.T) {
	r := NewRecorder(20 * second)
	r.Add(Sample{Due: 11 * second, Sent: 11 * second, Done: 12 * second, Fate: Failed})
	o := Outage{Kind: kindManual, At: 10 * second, Until: 14 * second, Next: time.Hour}
	if f := r.failover(&o, o.At); f.NoPrincipalMS != nil || f.ResumeMS != nil || f.Failed != 1 {
		t.Errorf("the failover cost %+v", f)
	}
}

// What another way has answered says nothing of this one: its own old principal served it until its own last answer.
func TestAddFailovers_EachByItsOwnAnswers(t *testing.T) {
	at := func(ms int) time.Duration { return 10*second + time.Duration(ms)*time.Millisecond }
	slow, quick := NewRecorder(20*second), NewRecorder(20*second)
	slow.Add(Sample{Due: at(1), Sent: at(1), Done: at(2)})
	slow.Add(Sample{Due: at(3), Sent: at(3), Done: at(8950)})
	for ms := 1; ms < 8900; ms += 10 { // the driver has found the new principal long before
		quick.Add(Sample{Due: at(ms), Sent: at(ms), Done: at(ms + 1)})
	}
	results := []*Result{{}, {}}
	addFailovers(results, []*Recorder{slow, quick}, []Outage{{Kind: kindCrash, At: at(0), Until: at(9900), Serving: at(8940), Served: true, Next: time.Hour}})
	f := results[0].Failovers[0]
	if *f.NoPrincipalMS != 8938 || f.ResumeMS == nil || *f.ResumeMS != 10 {
		t.Errorf("%v ms without a principal, resumed after %v; want 8938 and 10", *f.NoPrincipalMS, f.ResumeMS)
	}
}

// The latencies outside the failovers are those of all answers but of what met one; a refused one met nothing.
func TestRecorder_Calm(t *testing.T) {
	r := NewRecorder(40 * second)
	for i := range 2000 {
		due := time.Duration(i) * 20 * time.Millisecond
		took := time.Millisecond
		if due >= 10*second && due < 12*second {
			took = 2 * second
		}
		r.Add(Sample{Due: due, Sent: due, Done: due + took})
	}
	list := []Outage{{Kind: kindCrash, At: 10 * second, Until: 16 * second}, {Kind: kindSever, At: 11 * second, Until: 15 * second}, {Kind: kindManual, At: 30 * second, Until: 34 * second, Refused: "no"}}
	all, calm := r.total.latency(), r.calm(list)
	if all.P99 < 1900 || calm.P99 > 1.1 || calm.Max > 1.1 {
		t.Errorf("p99 of all %v ms, outside the failovers %v ms and at most %v", all.P99, calm.P99, calm.Max)
	}
	if failovers, faults := counts(list); failovers != 1 || faults != 1 {
		t.Errorf("%d failovers and %d faults, want one each", failovers, faults)
	}
	if got := r.calm([]Outage{{Kind: kindCrash, Until: time.Hour}}); got != nil {
		t.Errorf("all met the failover, and %+v did not", got)
	}
}

func TestLimits(t *testing.T) {
	r := &Result{LatencyMS: Latency{P99: 900}, CalmMS: &Latency{P99: 20},
		Failovers: []Failover{{Kind: kindManual, AtS: 5, LongestStallMS: 40}, {Kind: kindCrash, AtS: 9, LongestStallMS: 1200}, {Kind: kindManual, AtS: 12, LongestStallMS: 9000, Refused: "no"}}}
	plain := &Result{LatencyMS: Latency{P99: 900}}
	met := &Result{LatencyMS: Latency{P99: 900}, Failovers: []Failover{{Kind: kindManual, AtS: 5, LongestStallMS: 40}}}
	for _, c := range []struct {
		result *Result
		limits Limits
		words  []string // of each limit that was asked for
		found  []string // those that fail the run
	}{
		{r, Limits{}, nil, nil},
		{r, Limits{MaxStall: 1200 * time.Millisecond, MaxP99: 20 * time.Millisecond},
			[]string{"--max-stall 1.2s held: the longest wait was 1200 ms, in the crash at 9.0 s", "--max-p99 20ms held: the p99 outside the failovers is 20.0 ms"}, nil},
		{r, Limits{MaxStall: time.Second},
			[]string{"--max-stall 1s exceeded: the longest wait was 1200 ms, in the crash at 9.0 s"},
			[]string{"the longest wait was 1200 ms, in the crash at 9.0 s, more than --max-stall 1s"}},
		{r, Limits{MaxP99: 19 * time.Millisecond},
			[]string{"--max-p99 19ms exceeded: the p99 outside the failovers is 20.0 ms"},
			[]string{"the p99 outside the failovers is 20.0 ms, more than --max-p99 19ms"}},
		{met, Limits{MaxStall: 39 * time.Millisecond, MaxP99: time.Second},
			[]string{"--max-stall 39ms exceeded: the longest wait was 40.0 ms, in the planned failover at 5.0 s", "--max-p99 1s held: the p99 of all answers (each met a failover) is 900 ms"},
			[]string{"the longest wait was 40.0 ms, in the planned failover at 5.0 s, more than --max-stall 39ms"}},
		{plain, Limits{MaxStall: time.Second, MaxP99: 100 * time.Millisecond},
			[]string{"--max-stall 1s not checked: there was no failover", "--max-p99 100ms exceeded: the p99 of all answers is 900 ms"},
			[]string{"--max-stall 1s could not be checked: there was no failover", "the p99 of all answers is 900 ms, more than --max-p99 100ms"}},
	} {
		rep := &Report{Result: *c.result}
		rep.Requests = 1
		rep.judge(Tolerance{findRefused: 9}, c.limits)
		var words []string
		for _, l := range rep.Limits {
			words = append(words, l.Words())
		}
		if !slices.Equal(words, c.words) {
			t.Errorf("%+v: told %q, want %q", c.limits, words, c.words)
		}
		if !slices.Equal(rep.Findings, c.found) {
			t.Errorf("%+v: found %q, want %q", c.limits, rep.Findings, c.found)
		}
	}
}
