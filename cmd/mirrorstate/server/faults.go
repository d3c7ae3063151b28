package server

import (
	"context"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// Injector injects faults into the servers of an embedded pair.
type Injector struct{ Servers *embedded.Pair }

var _ proxy.FaultInjector = Injector{}

// Fault implements proxy.FaultInjector.
func (i Injector) Fault(ctx context.Context, partner string, f proxy.Fault) error {
	name := partner
	switch partner {
	case "principal":
		name = i.Servers.Principal()
	case "mirror":
		name = i.Servers.Mirror()
	}
	p := i.Servers.Partner(name)
	if p == nil {
		return noPartnerInRole(partner)
	}
	fault, err := embedded.ParseFault(f.Kind, f.Delay, f.Jitter, f.App)
	if err == nil {
		err = p.Inject(ctx, fault)
	}
	if err != nil {
		return fmt.Errorf("%s on partner %s: %w", f.Kind, name, err)
	}
	return nil
}

// noPartnerInRole refuses a fault for a role that no partner has now.
type noPartnerInRole string

// Error implements error.
func (r noPartnerInRole) Error() string { return "no partner is " + string(r) + " now" }

// Refusal returns what the operators' listener shows. SQL Server has no error number for it.
func (r noPartnerInRole) Refusal() (number int32, message, advice string) {
	return 0, r.Error(), "name the partner, a or b"
}
