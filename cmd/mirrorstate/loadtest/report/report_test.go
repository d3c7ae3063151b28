package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

var update = flag.Bool("update", false, "write the golden files")

// exampleReport is a report of an invented run: 20 s of 100 requests/s, a planned failover at 5 s
// and a crash at 12 s. Via driver fails each request that meets one of them.
func exampleReport(compared bool) *Report {
	r := New(20 * time.Second)
	r.Version, r.Began = "v0.0.0", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Tested = Tested{
		Host: "web1, linux/amd64, 2 processors", Targets: []string{"http://10.0.0.5:8080"}, Server: "v0.0.0", Topology: "mirroring", Schema: "extended", Safety: "FULL",
		Epoch: &BeforeAfter{7, 9}, Principal: &FromTo{"a", "a"},
	}
	r.Load = Offered{Rate: 100, Clients: 64, Preset: "web", Mix: "lock=60,read=35,touch=5", Size: "512..8192", Sessions: 100, ThinkMS: 5, TimeoutMS: 40_000, WarmupS: 2, DurationS: 20, Seed: 1}
	r.Processes = map[string]measure.Cost{"generator": {Cores: 0.12, ResidentMB: 30}, "http": {Cores: 0.15, ResidentMB: 48}, "pair": {Cores: 0.2, ResidentMB: 70}}
	list := []measure.Outage{
		{Kind: measure.KindManual, Partner: "a", At: 5 * time.Second, Until: 9 * time.Second, Next: 12 * time.Second, Serving: 5*time.Second + 8*time.Millisecond, Served: true},
		{Kind: measure.KindCrash, Partner: "b", At: 12 * time.Second, Until: 20 * time.Second, Next: time.Hour, Serving: 13 * time.Second, Served: true},
	}
	names := []string{measure.ViaHTTP}
	if compared {
		names = append(names, measure.ViaDriver)
	}
	for i, name := range names {
		rec := measure.NewRecorder(20 * time.Second)
		for n := range 2000 {
			rec.Add(exampleSample(time.Duration(n)*10*time.Millisecond, list, name == measure.ViaDriver))
		}
		r.Add(name, rec, measure.Integrity{AcknowledgedWrites: 700, ReadBack: 100, UnknownOutcomes: int64(i) * 7}, 20*time.Second, 20*time.Second)
	}
	r.Finish(list, compared)
	r.Held = make([]int, 200)
	for i := 121; i < 130; i++ {
		r.Held[i] = 10 * (i - 120)
	}
	r.Evaluate(Tolerance{}, Limits{MaxStall: 2 * time.Second, MaxP99: 50 * time.Millisecond})
	return r
}

// exampleSample is the request that is due at this time.
func exampleSample(due time.Duration, list []measure.Outage, drops bool) measure.Sample {
	s := answered(due, time.Millisecond+time.Duration(due.Milliseconds()%7)*100*time.Microsecond)
	for _, o := range list {
		if due >= o.At && due < o.Serving {
			if s.Done = o.Serving + 10*time.Millisecond + (due-o.At)/100; drops {
				s.Status, s.Problem, s.Done = measure.Failed, "sql-596", due+2*time.Millisecond
			}
		}
	}
	return s
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it); got:\n%s", path, got)
	}
}

func TestReport_Write(t *testing.T) {
	for name, compared := range map[string]bool{"one.txt": false, "compared.txt": true} {
		var b bytes.Buffer
		if err := exampleReport(compared).Write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

// The shape of the JSON may grow and must not shrink. Source: the contract.
func TestReport_WriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport(true).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "compared.json", b.Bytes())
	var top map[string]any
	if err := json.Unmarshal(b.Bytes(), &top); err != nil {
		t.Fatal(err)
	}
	vias, _ := top["vias"].(map[string]any)
	for name, of := range map[string]any{"the top": top, "http": vias["http"], "driver": vias["driver"]} {
		for _, path := range []string{
			"requests", "failed", "failed_by_problem", "seconds", "latency_ms.p50", "latency_ms.p90", "latency_ms.p99", "latency_ms.p999", "latency_ms.max",
			"failovers.kind", "failovers.at_s", "failovers.no_principal_ms", "failovers.longest_stall_ms", "failovers.resume_ms", "failovers.failed",
			"integrity.acknowledged_writes", "integrity.lost_writes", "integrity.double_grants", "integrity.unknown_outcomes",
		} {
			if !has(of, strings.Split(path, ".")) {
				t.Errorf("%s has no %s", name, path)
			}
		}
	}
}

// has reports whether there is a member at the path. Of a list it takes the first element.
func has(v any, path []string) bool {
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	if len(path) == 0 {
		return true
	}
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	inner, ok := m[path[0]]
	return ok && has(inner, path[1:])
}

func TestReport_Evaluate(t *testing.T) {
	for _, tt := range []struct {
		name     string
		spoil    func(*Report)
		tolerate string
		want     string // part of the only finding; empty: there is none
	}{
		{"nothing failed", func(*Report) {}, "", ""},
		{"failed", func(r *Report) { r.Failed, r.FailedByProblem = 4, map[string]int64{"a": 1, "no-principal": 3} }, "", "4 requests failed (no-principal 3, a 1)"},
		{"failed requests, any number tolerated", func(r *Report) { r.Failed = 4 }, "failed", ""},
		{"failed requests, the same number tolerated", func(r *Report) { r.Failed = 4 }, "failed=4", ""},
		{"failed requests, fewer tolerated", func(r *Report) { r.Failed = 4 }, "failed=3", "4 requests failed"},
		{"lost", func(r *Report) { r.Integrity.LostWrites = 1 }, "failed", "1 acknowledged writes were lost"},
		{"granted twice", func(r *Report) { r.Integrity.DoubleGrants = 1 }, "", "granted twice"},
		{"came back", func(r *Report) { r.Integrity.ResurrectedSessions = 1 }, "", "came back"},
		{"ghosts", func(r *Report) { r.Integrity.GhostWrites = 1 }, "", "took effect"},
		{"damaged", func(r *Report) { r.Integrity.DamagedItems = 1 }, "", "damaged"},
		{"not read", func(r *Report) { r.Integrity.UnreadSessions = 1 }, "", "read back"},
		{"a failover that was refused", func(r *Report) { r.Failovers = []measure.Failover{{Refused: "no"}} }, "", "failovers could not be made"},
		{"nothing done", func(r *Report) { r.Requests = 0 }, "", "no request was answered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Result: Result{Requests: 10}}
			tt.spoil(r)
			tolerance, err := ParseTolerance(tt.tolerate)
			if err != nil {
				t.Fatal(err)
			}
			r.Evaluate(tolerance, Limits{})
			got := strings.Join(r.Findings, "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// A run that ends before anything was measured has a report too.
func TestReport_Empty(t *testing.T) {
	r := New(time.Minute)
	r.Interrupted = true
	r.Add(measure.ViaHTTP, measure.NewRecorder(time.Minute), measure.Integrity{}, 0, 0)
	r.Finish(nil, false)
	r.Evaluate(Tolerance{}, Limits{})
	var text, page bytes.Buffer
	if err := errors.Join(r.Write(&text), r.WriteHTML(&page)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "NaN") || strings.Contains(page.String(), "Inf") {
		t.Errorf("the page of an empty run has NaN or Inf:\n%s", page.String())
	}
}
