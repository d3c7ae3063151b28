package measure

import (
	"math"
	"testing"
	"time"
)

// answered is a request that was due at a time and was answered after took.
func answered(due, took time.Duration) Sample {
	return Sample{Due: due, Sent: due, Done: due + took, Call: CallGet, Early: true}
}

// The timeline shows a stall in the steps in which its requests were due, and how many requests
// were waiting.
func TestRecorder_Timeline(t *testing.T) {
	r := NewRecorder(5 * time.Second)
	r.Add(answered(-200*time.Millisecond, time.Second)) // still waiting when measuring starts
	for i := range 500 {                                // 100 a second; from 2 s to 3 s there are no answers
		due := time.Duration(i) * 10 * time.Millisecond
		took := time.Millisecond
		if due >= 2*time.Second && due < 3*time.Second {
			took = 3*time.Second - due
		}
		r.Add(answered(due, took))
	}
	r.Add(Sample{Due: 4 * time.Second, Done: 4 * time.Second, Status: Failed})
	line := r.Timeline(r.length)
	if len(line) != 50 {
		t.Fatalf("%d steps in 5 s", len(line))
	}
	if l := line[0]; l.Waiting != 1 || l.Due != 10 || l.Answered != 10 {
		t.Errorf("the first step is %+v", l)
	}
	if l := line[20]; l.N != 10 || l.Max < 990 || l.Max > 1010 || l.Answered != 0 || l.Waiting != 10 {
		t.Errorf("the step in which the stall begins is %+v", l)
	}
	if l := line[29]; l.Waiting != 100 || l.P50 > 100 {
		t.Errorf("the last step of the stall is %+v", l)
	}
	if l := line[30]; l.Answered != 110 || l.Waiting != 0 {
		t.Errorf("the step after the stall is %+v", l)
	}
	if l := line[40]; l.Failed != 1 || l.N != 10 {
		t.Errorf("the step with a failure is %+v", l)
	}
}

// Old samples are dropped, except the ones that keep asks for. The timeline stays the same.
func TestRecorder_Compact(t *testing.T) {
	r := NewRecorder(10 * time.Minute)
	for second := range 300 {
		for range 10 {
			r.Add(answered(time.Duration(second)*time.Second, 7*time.Millisecond))
		}
	}
	before := r.Timeline(r.length)
	r.Compact(300*time.Second, func(from, to time.Duration) bool { return from >= 100*time.Second && to <= 110*time.Second })
	kept := 0
	r.samples(func(*Sample) { kept++ })
	if kept != (10+59)*10 {
		t.Errorf("%d samples are kept, want those of 10 s and of the 59 that began less than a minute ago", kept)
	}
	after := r.Timeline(r.length)
	for i := range before {
		if before[i] != after[i] {
			t.Fatalf("step %d was %+v and is %+v", i, before[i], after[i])
		}
	}
}

func TestRecorder_Recent(t *testing.T) {
	r := NewRecorder(time.Minute)
	r.Add(answered(time.Second, 10*time.Millisecond))
	r.Add(Sample{Due: time.Second, Done: time.Hour, Status: Failed})
	if g := r.Recent(); g.Requests != 2 || g.Failed != 1 || math.Abs(g.P99-10) > 0.5 {
		t.Errorf("the first call of Recent returns %+v", g)
	}
	if g := r.Recent(); g.Requests != 0 || g.Failed != 0 || g.P99 != 0 {
		t.Errorf("nothing happened since, and the second call returns %+v", g)
	}
}
