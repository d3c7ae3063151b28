package operator

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/partner"
)

// The schema is read from the principal. Before there has been one, it is not known.
func TestPrintPair_SchemaNotKnown(t *testing.T) {
	for want, st := range map[string]partner.Status{
		"(unknown, schema not known): principal none":  {Topology: "unknown", Schema: "stock"},
		"(mirroring, stock schema): principal a":       {Topology: "mirroring", Schema: "stock", Principal: "a"},
		"(mirroring, extended schema): principal none": {Topology: "mirroring", Schema: "extended", Epoch: 4},
	} {
		var out bytes.Buffer
		if err := PrintPair(&out, server.PairStatus{Status: st}, false); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q, %v; want %q", &out, err, want)
		}
	}
}

// A partner that does not answer is shown without its old latency, and without a breaker that no call has opened.
func TestPrintPair_PartnerDoesNotAnswer(t *testing.T) {
	seen := time.Date(2026, 11, 30, 3, 4, 5, 0, time.UTC)
	var st server.PairStatus
	st.Partners = []partner.PartnerStatus{
		{Name: partner.A, Breaker: "closed", LatencyMS: 0.6, Seen: seen},
		{Name: partner.B, Breaker: "closed", LatencyMS: 0.7, Reachable: true, Seen: seen},
	}
	var out bytes.Buffer
	if err := PrintPair(&out, st, false); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Contains(text, "0.6 ms") || strings.Count(text, "closed") != 1 || !strings.Contains(text, "no answer since 03:04:05 UTC") || !strings.Contains(text, "0.7 ms") {
		t.Errorf("got\n%s", text)
	}
}
