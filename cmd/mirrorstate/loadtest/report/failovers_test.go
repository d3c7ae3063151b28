package report

import (
	"slices"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// The costs of each via are computed from its own answers: the old principal served it until its own last answer.
func TestAddFailovers_EachByItsOwnAnswers(t *testing.T) {
	at := func(ms int) time.Duration { return 10*time.Second + time.Duration(ms)*time.Millisecond }
	slow, quick := measure.NewRecorder(20*time.Second), measure.NewRecorder(20*time.Second)
	slow.Add(measure.Sample{Due: at(1), Sent: at(1), Done: at(2)})
	slow.Add(measure.Sample{Due: at(3), Sent: at(3), Done: at(8950)})
	for ms := 1; ms < 8900; ms += 10 { // the driver has found the new principal long before
		quick.Add(measure.Sample{Due: at(ms), Sent: at(ms), Done: at(ms + 1)})
	}
	r := New(20 * time.Second)
	r.Add(measure.ViaHTTP, slow, measure.Integrity{}, 20*time.Second, 20*time.Second)
	r.Add(measure.ViaDriver, quick, measure.Integrity{}, 20*time.Second, 20*time.Second)
	r.Finish([]measure.Outage{{Kind: measure.KindCrash, At: at(0), Until: at(9900), Serving: at(8940), Served: true, Next: time.Hour}}, true)
	f := r.Vias[measure.ViaHTTP].Failovers[0]
	if *f.NoPrincipalMS != 8938 || f.ResumeMS == nil || *f.ResumeMS != 10 {
		t.Errorf("%v ms without a principal, resumed after %v; want 8938 and 10", *f.NoPrincipalMS, f.ResumeMS)
	}
}

func TestLimits(t *testing.T) {
	r := &Result{LatencyMS: measure.Latency{P99: 900}, OutsideMS: &measure.Latency{P99: 20},
		Failovers: []measure.Failover{{Kind: measure.KindManual, AtS: 5, LongestStallMS: 40}, {Kind: measure.KindCrash, AtS: 9, LongestStallMS: 1200}, {Kind: measure.KindManual, AtS: 12, LongestStallMS: 9000, Refused: "no"}}}
	plain := &Result{LatencyMS: measure.Latency{P99: 900}}
	met := &Result{LatencyMS: measure.Latency{P99: 900}, Failovers: []measure.Failover{{Kind: measure.KindManual, AtS: 5, LongestStallMS: 40}}}
	for _, c := range []struct {
		result *Result
		limits Limits
		words  []string // of each limit that is set
		found  []string // findings that make the run fail
	}{
		{r, Limits{}, nil, nil},
		{r, Limits{MaxStall: 1200 * time.Millisecond, MaxP99: 20 * time.Millisecond},
			[]string{"--max-stall 1.2s held: the longest stall was 1200 ms, in the crash at 9.0 s", "--max-p99 20ms held: the p99 outside the failovers is 20.0 ms"}, nil},
		{r, Limits{MaxStall: time.Second},
			[]string{"--max-stall 1s exceeded: the longest stall was 1200 ms, in the crash at 9.0 s"},
			[]string{"the longest stall was 1200 ms, in the crash at 9.0 s, more than --max-stall 1s"}},
		{r, Limits{MaxP99: 19 * time.Millisecond},
			[]string{"--max-p99 19ms exceeded: the p99 outside the failovers is 20.0 ms"},
			[]string{"the p99 outside the failovers is 20.0 ms, more than --max-p99 19ms"}},
		{met, Limits{MaxStall: 39 * time.Millisecond, MaxP99: time.Second},
			[]string{"--max-stall 39ms exceeded: the longest stall was 40.0 ms, in the planned failover at 5.0 s", "--max-p99 1s held: the p99 of all answers (each met a failover) is 900 ms"},
			[]string{"the longest stall was 40.0 ms, in the planned failover at 5.0 s, more than --max-stall 39ms"}},
		{plain, Limits{MaxStall: time.Second, MaxP99: 100 * time.Millisecond},
			[]string{"--max-stall 1s not checked: there was no failover", "--max-p99 100ms exceeded: the p99 of all answers is 900 ms"},
			[]string{"--max-stall 1s could not be checked: there was no failover", "the p99 of all answers is 900 ms, more than --max-p99 100ms"}},
	} {
		rep := &Report{Result: *c.result}
		rep.Requests = 1
		rep.Evaluate(Tolerance{FindingRefused: 9}, c.limits)
		var words []string
		for _, l := range rep.Limits {
			words = append(words, l.Summary())
		}
		if !slices.Equal(words, c.words) {
			t.Errorf("%+v: told %q, want %q", c.limits, words, c.words)
		}
		if !slices.Equal(rep.Findings, c.found) {
			t.Errorf("%+v: found %q, want %q", c.limits, rep.Findings, c.found)
		}
	}
}
