package loadtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// tested is what is known without asking.
func tested(o *Options) Tested {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return Tested{
		Host: fmt.Sprintf("%s, %s/%s, %d processors", host, runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Targets: o.Targets, Admin: o.Admin,
		Own: len(o.Targets) == 0, OwnPair: len(o.Targets) == 0 && o.ConnectionString == "",
	}
}

// observer is who tells of the pair: the proxy on it, which knows its schema and epoch, or whoever else.
func (s *system) observer() *operator {
	if s.proxy != nil {
		return &s.proxy.operator
	}
	return s.operator
}

// askBefore asks what pair it is. What can't be known is left out: the load does not depend on it.
func askBefore(ctx context.Context, t *Tested, from *operator) {
	if from == nil {
		return
	}
	s, err := from.known(ctx)
	if err != nil {
		return
	}
	t.Server, _ = from.client.ServerVersion(ctx)
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
	t.Epoch, t.Principal = &BeforeAfter{Before: s.Epoch}, &FromTo{Before: s.Principal}
}

// askAfter asks again.
func askAfter(ctx context.Context, t *Tested, from *operator) {
	if t.Epoch == nil {
		return
	}
	if s, err := from.known(ctx); err == nil {
		t.Epoch.After, t.Principal.After = s.Epoch, s.Principal
	}
}
