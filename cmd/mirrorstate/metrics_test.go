package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// served is a metric of GET /metrics.
type served struct {
	kind, help string
	labels     []string
}

var (
	sample    = regexp.MustCompile(`(?m)^([a-z_:]+)(\{.*\})? `)
	labelName = regexp.MustCompile(`[{,]([a-z_]+)="`)
	suffix    = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// parseMetrics parses the text format of Prometheus.
func parseMetrics(t *testing.T, text string) map[string]*served {
	t.Helper()
	all := map[string]*served{}
	get := func(name string) *served {
		if all[name] == nil {
			all[name] = &served{}
		}
		return all[name]
	}
	for line := range strings.Lines(text) {
		if name, help, ok := cutComment(line, "# HELP "); ok {
			get(name).help = help
			continue
		}
		if name, kind, ok := cutComment(line, "# TYPE "); ok {
			get(name).kind = kind
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("malformed line %q", line)
		}
		one := all[m[1]]
		if one == nil {
			one = all[suffix.ReplaceAllString(m[1], "")]
		}
		if one == nil {
			t.Fatalf("%s has no type", m[1])
		}
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" && !slices.Contains(one.labels, l[1]) {
				one.labels = append(one.labels, l[1])
			}
		}
		slices.Sort(one.labels)
	}
	return all
}

func cutComment(line, begin string) (name, rest string, ok bool) {
	text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), begin)
	name, rest, _ = strings.Cut(text, " ")
	return name, rest, ok
}

// The documentation of the metrics and the queries of the dashboard and the alert rules agree with the server's
// metrics.
func TestMetrics(t *testing.T) {
	p := startServe(t, t.TempDir())
	_, text := must(t, []int{200}, "GET", p.admin+"/metrics", "")
	all := parseMetrics(t, text)
	docs := filepath.Join("..", "..", "docs")
	read := func(path ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{docs}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	t.Run("docs/metrics.md describes every metric", func(t *testing.T) {
		page := read("metrics.md")
		for name, m := range all {
			if !strings.HasPrefix(name, "mirrorstate_") {
				continue
			}
			labels := "—"
			if len(m.labels) > 0 {
				labels = "`" + strings.Join(m.labels, "`, `") + "`"
			}
			if row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, m.kind, labels, m.help); !strings.Contains(page, row) {
				t.Errorf("docs/metrics.md lacks the row %s", row)
			}
			if m.kind == "counter" != strings.HasSuffix(name, "_total") || m.help == "" {
				t.Errorf("%s is a %s: %q", name, m.kind, m.help)
			}
		}
		for _, row := range regexp.MustCompile("(?m)^\\| `(mirrorstate_\\w+)`").FindAllStringSubmatch(page, -1) {
			if all[row[1]] == nil {
				t.Errorf("docs/metrics.md has a row for %s, which does not exist", row[1])
			}
		}
	})
	t.Run("the dashboard queries existing metrics only", func(t *testing.T) {
		asked := checkMetricNames(t, all, expressions(t, read("monitoring", "dashboard.json")))
		if asked < 35 {
			t.Errorf("only %d metrics are asked for", asked)
		}
	})
	rules := read("monitoring", "alerts.yaml")
	t.Run("the alert rules name existing metrics only", func(t *testing.T) {
		// Every metric's name in the file, also in comments and descriptions.
		if asked := checkMetricNames(t, all, regexp.MustCompile(`mirrorstate_\w+`).FindAllString(rules, -1)); asked < 15 {
			t.Errorf("only %d metrics are asked for", asked)
		}
	})
	t.Run("every label value that they match exists", func(t *testing.T) {
		for _, m := range regexp.MustCompile(`(\w+)=~?"([^"]*)"`).FindAllStringSubmatch(rules, -1) {
			for value := range strings.SplitSeq(m[2], "|") {
				if m[1] != "job" && !strings.Contains(text, m[1]+`="`+value+`"`) {
					t.Errorf("no metric has %s=%q", m[1], value)
				}
			}
		}
	})
	t.Run("promtool accepts the rules and the metrics", func(t *testing.T) {
		promtool, err := exec.LookPath("promtool")
		if err != nil {
			t.Skip("promtool is not installed (Debian's package prometheus): the alert rules are not checked by it")
		}
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", filepath.Join(docs, "monitoring", "alerts.yaml")).CombinedOutput(); err != nil {
			t.Errorf("check rules: %v\n%s", err, out)
		}
		if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join(docs, "monitoring", "alerts_test.yaml")).CombinedOutput(); err != nil {
			t.Errorf("test rules: %v\n%s", err, out)
		}
		lint := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		lint.Stdin = strings.NewReader(text)
		if out, err := lint.CombinedOutput(); err != nil {
			t.Errorf("check metrics: %v\n%s", err, out)
		}
	})
}

// The metrics count what happened.
func TestMetrics_Count(t *testing.T) {
	p := startServe(t, t.TempDir())
	sessions := p.api + "/v1/apps/default/sessions"
	h, _ := must(t, []int{201}, "POST", sessions, "hello")
	url := p.api + h.Get("Location")
	must(t, []int{200}, "GET", url, "")
	must(t, []int{404}, "GET", sessions+"/nobody", "")
	must(t, []int{200}, "POST", url+"/lock", "")
	must(t, []int{423}, "POST", url+"/lock?wait=10ms", "")
	must(t, []int{409}, "PUT", url, "x", "Session-Lock", "nonsense")
	must(t, []int{404}, "GET", p.api+"/nowhere", "")
	must(t, []int{405}, "PATCH", url, "")
	must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	must(t, []int{200}, "GET", p.admin+"/v1/apps/default/sessions/"+url[strings.LastIndexByte(url, '/')+1:]+"?locked=allow", "")
	_, text := must(t, []int{200}, "GET", p.admin+"/metrics", "")
	const one = `route="/v1/apps/{app}/sessions/{id}"`
	for _, line := range []string{
		`mirrorstate_http_requests_total{method="POST",outcome="ok",route="/v1/apps/{app}/sessions"} 1`,
		`mirrorstate_http_requests_total{method="GET",outcome="ok",` + one + `} 2`, // on both listeners
		`mirrorstate_http_requests_total{method="GET",outcome="session-not-found",` + one + `} 1`,
		`mirrorstate_http_requests_total{method="PUT",outcome="lock-lost",` + one + `} 1`,
		`mirrorstate_http_requests_total{method="PUT",outcome="ok",` + one + `} 0`,
		`mirrorstate_http_requests_total{method="POST",outcome="session-locked",route="/v1/apps/{app}/sessions/{id}/lock"} 1`,
		`mirrorstate_http_requests_total{method="other",outcome="not-found",route="other"} 1`,
		`mirrorstate_http_requests_total{method="other",outcome="method-not-allowed",route="other"} 1`,
		`mirrorstate_http_request_duration_seconds_count{method="GET",` + one + `} 3`,
		`mirrorstate_http_requests_in_flight 0`,
		`mirrorstate_lock_waits_total{outcome="expired"} 1`,
		`mirrorstate_lock_wait_duration_seconds_count 1`,
		`mirrorstate_pair_principal{partner="a"} 0`,
		`mirrorstate_pair_principal{partner="b"} 1`,
		`mirrorstate_pair_principal_changes_total{partner="b"} 1`,
		`mirrorstate_partner_role_changes_total{partner="a",role="mirror"} 1`,
		`mirrorstate_partner_role{partner="b",role="principal"} 1`,
		`mirrorstate_pair_epoch 2`,
		`mirrorstate_pair_role_sequence 2`,
		`mirrorstate_ready 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("%s is missing; got\n%s", line, regexp.MustCompile(`(?m)^`+name+`\b.* [^0]+\n`).FindAllString(text, -1))
		}
	}
	// The call after the failover, the fleet's secret, which is read again then, and on a slow machine the expiry job.
	if attempts := regexp.MustCompile(`mirrorstate_sql_attempts_total\{outcome="done",partner="b"\} ([1-3])\n`).FindStringSubmatch(text); attempts == nil {
		t.Error("the attempts on partner b are not 1 to 3")
	}
	if h, _ := must(t, []int{200}, "GET", p.admin+"/healthz", ""); h.Get("Mirrorstate-Version") != buildVersion() {
		t.Errorf("the answer of the operators' listener lacks the version: %v", h)
	}
}

// metricWord matches the name of a metric in an expression.
var metricWord = regexp.MustCompile(`\b(mirrorstate|process|go)_[a-z_]+`)

// checkMetricNames checks that every metric in the expressions exists, and returns their number.
func checkMetricNames(t *testing.T, all map[string]*served, expressions []string) int {
	t.Helper()
	asked := map[string]bool{}
	for _, e := range expressions {
		for _, name := range metricWord.FindAllString(e, -1) {
			asked[name] = true
			if all[name] == nil && (all[suffix.ReplaceAllString(name, "")] == nil || all[suffix.ReplaceAllString(name, "")].kind != "histogram") {
				t.Errorf("no such metric: %s, in %s", name, e)
			}
		}
	}
	return len(asked)
}

// expressions returns all queries of a dashboard.
func expressions(t *testing.T, dashboard string) (all []string) {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(dashboard), &root); err != nil {
		t.Fatal(err)
	}
	var visit func(key string, v any)
	visit = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				visit(k, inner)
			}
		case []any:
			for _, inner := range v {
				visit(key, inner)
			}
		case string:
			if key == "expr" || key == "query" || key == "definition" {
				all = append(all, v)
			}
		}
	}
	visit("", root)
	return all
}
