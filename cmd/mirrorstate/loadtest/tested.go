package loadtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
)

// tested returns the description of the tested system, without the part that askBefore asks the pair for.
func tested(o *Options) report.Tested {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return report.Tested{
		Host: fmt.Sprintf("%s, %s/%s, %d processors", host, runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Targets: o.Targets, Admin: o.Admin,
		Own: len(o.Targets) == 0, OwnPair: len(o.Targets) == 0 && o.ConnectionString == "",
	}
}

// observer returns the operators' listener of the proxy, which knows schema and epoch, or else that of the servers. It
// returns nil if there is none.
func (s *system) observer() *measure.Operator {
	if s.proxy != nil {
		return &s.proxy.Operator
	}
	return s.operator
}

// askBefore asks for the state of the pair before the load. If there is no answer, the description
// stays incomplete; the load does not depend on it.
func askBefore(ctx context.Context, t *report.Tested, from *measure.Operator) {
	if from == nil {
		return
	}
	s, err := from.WaitPrincipal(ctx)
	if err != nil {
		return
	}
	t.Server, _ = from.Client.ServerVersion(ctx)
	t.Database, t.Topology, t.Schema = s.Database, s.Topology, s.Schema
	if s.Embedded != nil {
		t.Topology, t.Witness = "embedded", &s.Embedded.Witness
	}
	for _, p := range s.Partners {
		t.Partners = append(t.Partners, strings.TrimSpace(p.Name+" "+p.Address))
		if p.Name == s.Principal {
			t.Safety = p.Safety
		}
	}
	t.Epoch, t.Principal = &report.BeforeAfter{Before: s.Epoch}, &report.FromTo{Before: s.Principal}
}

// askAfter asks again after the load.
func askAfter(ctx context.Context, t *report.Tested, from *measure.Operator) {
	if t.Epoch == nil {
		return
	}
	if s, err := from.WaitPrincipal(ctx); err == nil {
		t.Epoch.After, t.Principal.After = s.Epoch, s.Principal
	}
}
