package proxy

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Fault is a fault to inject into a partner of the embedded pair.
type Fault struct {
	// Kind is crash, stop, start, freeze, sever, partition, isolate, slow or none. none ends every fault of the
	// partner and starts the partner if it is down.
	Kind string
	// Delay and Jitter are for slow: each answer is delayed by between Delay-Jitter and Delay+Jitter.
	Delay, Jitter time.Duration
	// App limits freeze, sever, isolate and slow to connections that named this application at login; the server
	// itself keeps running. Empty: all connections.
	App string
}

// FaultInjector injects faults into the servers of an embedded pair. Any number of goroutines may call it.
type FaultInjector interface {
	// Fault injects f into a partner: a, b, principal or mirror. The last two mean the partner that has the role when
	// Fault is called. It returns nil when the fault is in force. An error that has the method Refusal is answered as
	// a refusal.
	Fault(ctx context.Context, partner string, f Fault) error
}

// The values that the members of a fault may have.
var (
	faultPartners = []string{"a", "b", "principal", "mirror"}
	faultsOfOne   = []string{"freeze", "sever", "isolate", "slow"} // the kinds that may be limited to one application
	faultKinds    = []string{"crash", "stop", "start", "freeze", "sever", "partition", "isolate", "slow", "none"}
)

// maxFaultDelay bounds delay_ms and jitter_ms.
const maxFaultDelay = time.Minute

// faultRequest is the body of POST /v1/pair/fault.
type faultRequest struct {
	Partner string  `json:"partner"`
	Fault   string  `json:"fault"`
	Delay   float64 `json:"delay_ms"`
	Jitter  float64 `json:"jitter_ms"`
	App     string  `json:"app"`
}

// fault answers POST /v1/pair/fault: 409 if the pair is not embedded.
func (a *admin) fault(ctx context.Context, body []byte) error {
	if a.faults == nil {
		return &problemError{kindRefused, "the pair is not embedded: faults can be injected only into servers of this process"}
	}
	var req faultRequest
	if err := decodeAction(body, &req); err != nil {
		return err
	}
	f, err := req.fault()
	if err != nil {
		return err
	}
	return a.faults.Fault(ctx, req.Partner, f)
}

// fault checks the members.
func (q *faultRequest) fault() (Fault, error) {
	f := Fault{Kind: q.Fault, App: q.App}
	if err := oneOf("member partner", q.Partner, faultPartners); err != nil {
		return f, err
	}
	if err := oneOf("member fault", q.Fault, faultKinds); err != nil {
		return f, err
	}
	if q.App != "" && !slices.Contains(faultsOfOne, q.Fault) {
		return f, badInput("member app", "applies to "+strings.Join(faultsOfOne, ", ")+" only")
	}
	for _, ms := range []struct {
		name  string
		value float64
		to    *time.Duration
	}{{"delay_ms", q.Delay, &f.Delay}, {"jitter_ms", q.Jitter, &f.Jitter}} {
		if ms.value < 0 || ms.value > float64(maxFaultDelay.Milliseconds()) {
			return f, badInput("member "+ms.name, "must be between 0 and 60000")
		}
		if ms.value != 0 && q.Fault != "slow" {
			return f, badInput("member "+ms.name, "applies to slow only")
		}
		*ms.to = time.Duration(ms.value * float64(time.Millisecond))
	}
	if q.Fault == "slow" && f.Delay == 0 && f.Jitter == 0 {
		return f, badInput("member delay_ms", "is missing: slow needs a delay or a jitter")
	}
	return f, nil
}
