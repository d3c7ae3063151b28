package operator

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/partner"
)

// PrintPair prints the status of the pair as text or as JSON.
func PrintPair(out io.Writer, st server.PairStatus, asJSON bool) error {
	if asJSON {
		return printJSON(out, st)
	}
	principal := string(st.Principal)
	if principal == "" {
		principal = "none"
	}
	schema := st.Schema + " schema"
	if st.Principal == "" && st.Epoch == 0 && st.RoleSequence == 0 {
		schema = "schema not known" // only a principal's schema is read
	}
	fmt.Fprintf(out, "%s (%s, %s): principal %s, epoch %d, role sequence %d, holding %d\n",
		st.Database, st.Topology, schema, principal, st.Epoch, st.RoleSequence, st.Holding)
	for _, warning := range []struct {
		is   bool
		text string
	}{
		{st.Exposed, "EXPOSED: the mirror does not receive the writes that are acknowledged now"},
		{st.SplitBrain, "SPLIT BRAIN: both partners claim to be principal"},
	} {
		if warning.is {
			fmt.Fprintln(out, warning.text)
		}
	}
	printDetails(out, st)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTNER\tADDRESS\tROLE\tSTATE\tSAFETY\tBREAKER\tLATENCY\tLAST ERROR")
	for _, p := range st.Partners {
		breaker, latency := breakerAndLatency(p)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Address, p.Role, p.State, p.Safety, breaker, latency, p.LastError)
	}
	return w.Flush()
}

// breakerAndLatency returns a partner's breaker and latency as text. For a partner that does not answer it returns no
// latency, because the last one is outdated, and no closed breaker, because that only means that no call has failed
// yet.
func breakerAndLatency(p partner.PartnerStatus) (breaker, latency string) {
	if p.Reachable {
		return p.Breaker, fmt.Sprintf("%.1f ms", p.LatencyMS)
	}
	latency = "no answer"
	if !p.Seen.IsZero() {
		latency += " since " + p.Seen.Format(time.TimeOnly) + " UTC"
	}
	if p.Breaker == "closed" {
		return "-", latency
	}
	return p.Breaker, latency
}

// printDetails prints what most pairs do not have: claims, the watchdog, faults.
func printDetails(out io.Writer, st server.PairStatus) {
	for _, c := range st.Claims {
		fmt.Fprintf(out, "  %s (%s) claims epoch %d, role sequence %d\n", c.Partner, c.Server, c.Epoch, c.RoleSequence)
	}
	if st.Watchdog.Enabled {
		fmt.Fprintf(out, "watchdog: %s, %s\n", st.Watchdog.Action, st.Watchdog.Reason)
	}
	if st.Embedded != nil {
		for _, p := range st.Partners {
			if faults := st.Embedded.Faults[string(p.Name)]; len(faults) > 0 {
				fmt.Fprintf(out, "faults on %s: %s\n", p.Name, strings.Join(faults, ", "))
			}
		}
	}
}
