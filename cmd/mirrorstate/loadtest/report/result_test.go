package report

import (
	"math"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// answered is a request that was due at a time and was answered after took.
func answered(due, took time.Duration) measure.Sample {
	return measure.Sample{Due: due, Sent: due, Done: due + took, Call: measure.CallGet, Early: true}
}

func TestNewResult(t *testing.T) {
	r := measure.NewRecorder(10 * time.Second)
	r.Add(answered(-time.Second, time.Hour)) // the warm-up does not count
	r.Add(answered(10*time.Second, time.Hour))
	for i := range 1000 {
		r.Add(answered(time.Duration(i)*10*time.Millisecond, time.Duration(i+1)*time.Millisecond))
	}
	r.Add(measure.Sample{Due: time.Second, Done: 2 * time.Second, Status: measure.Busy})
	r.Add(measure.Sample{Due: time.Second, Done: 2 * time.Second, Status: measure.Gone})
	for range 3 {
		r.Add(measure.Sample{Due: time.Second, Done: time.Hour, Status: measure.Failed, Problem: "no-principal"})
	}
	res := newResult(r, measure.Integrity{}, 10*time.Second, 10*time.Second)
	if res.Requests != 1005 || res.Failed != 3 || res.FailedByProblem["no-principal"] != 3 || res.Busy != 1 || res.Gone != 1 {
		t.Errorf("counted %+v", res)
	}
	for _, q := range []struct {
		name      string
		got, want float64
	}{
		{"p50", res.LatencyMS.P50, 500}, {"p90", res.LatencyMS.P90, 900}, {"p99", res.LatencyMS.P99, 990},
		{"max", res.LatencyMS.Max, 1000}, {"p50 of get", res.LatencyByCall["get"].P50, 500},
	} {
		if math.Abs(q.got-q.want) > q.want/200 {
			t.Errorf("%s is %v ms, want %v", q.name, q.got, q.want)
		}
	}
	// The last hundred were answered after the end.
	if want := 100.2; math.Abs(res.Throughput-want) > 10 {
		t.Errorf("%v answers a second within the time, want about %v", res.Throughput, want)
	}
}

func TestSpreadOf(t *testing.T) {
	if spreadOf(nil) != nil {
		t.Error("spreadOf(nil) is not nil")
	}
	if got := *spreadOf([]float64{3, 1, 2}); got != (Spread{2, 3, 3}) {
		t.Errorf("the spread of 1, 2, 3 is %+v", got)
	}
}
