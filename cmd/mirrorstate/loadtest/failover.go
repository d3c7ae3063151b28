package loadtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// possibleKinds returns the kinds of failovers that a pair supports.
func possibleKinds(s measure.PairState) []string {
	switch {
	case s.Embedded != nil && s.Embedded.Witness:
		return []string{measure.KindManual, measure.KindCrash, measure.KindFreeze, measure.KindIsolate, measure.KindPartition, measure.KindSever}
	case s.Embedded != nil:
		return measure.Kinds
	case s.Topology == "plain":
		return nil
	}
	return []string{measure.KindManual}
}

// requestTime bounds one request for a failover or a fault.
const requestTime = 30 * time.Second

// tryAgain is the time between two tries of a refused request, and tryFor how long it is tried. A
// mirror may have caught up only just now, or may not have noticed yet that its principal is gone.
const (
	tryAgain = 20 * time.Millisecond
	tryFor   = 4 * time.Second
)

// checkKinds returns an error if the pair does not support a failover of the list.
func checkKinds(ctx context.Context, o *measure.Operator, list []Planned) error {
	if len(list) == 0 {
		return nil
	}
	s, err := o.WaitPrincipal(ctx)
	if err != nil {
		return fmt.Errorf("ask the operators' listener for the pair: %w", err)
	}
	can := possibleKinds(s)
	for _, p := range list {
		if !slices.Contains(can, p.Kind) {
			return usage("--failover %s is not supported by this pair (%s); it supports %s", p.Kind, describe(s), orNothing(can))
		}
	}
	return nil
}

// describe returns the pair's topology as text.
func describe(s measure.PairState) string {
	switch {
	case s.Embedded != nil && s.Embedded.Witness:
		return "embedded, with a witness"
	case s.Embedded != nil:
		return "embedded, without a witness"
	}
	return s.Topology
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// planRunner makes the failovers of a plan, one after the other.
type planRunner struct {
	measure.Operator
	clock measure.Clock
	say   func(format string, args ...any) // prints a message
}

// run makes the failovers until ctx ends. It lifts all faults before it returns.
func (c *planRunner) run(ctx context.Context, plan []Planned) (attempts []measure.Attempt) {
	for _, p := range plan {
		if c.clock.Wait(ctx, p.At) != nil {
			return attempts
		}
		m := c.trigger(ctx, p)
		attempts = append(attempts, m)
		if m.Refused != "" {
			c.say("%s was refused: %s", p.Kind, m.Refused)
			continue
		}
		c.say("%s requested, partner %s", p.Kind, m.Partner)
		if measure.Recovery(p.Kind) < measure.FaultTime {
			continue
		}
		_ = c.clock.Wait(ctx, m.At+measure.FaultTime) // an interrupt lifts the fault at once
		if err := c.lift(context.WithoutCancel(ctx), m); err != nil {
			m.NotLifted = err.Error()
		}
		m.Lifted = c.clock.Now()
		attempts[len(attempts)-1] = m
	}
	return attempts
}

// trigger makes one failover.
func (c *planRunner) trigger(ctx context.Context, p Planned) measure.Attempt {
	m := measure.Attempt{Kind: p.Kind, At: c.clock.Now()}
	s, err := c.State(ctx)
	if err == nil && s.Principal == "" {
		err = fmt.Errorf("there is no principal")
	}
	if m.Partner = s.Principal; err == nil {
		err = c.request(ctx, &m)
	}
	if err != nil {
		m.Refused = err.Error()
	}
	return m
}

// request sends the request for a failover, and notes the time.
func (c *planRunner) request(ctx context.Context, m *measure.Attempt) error {
	if m.Kind == measure.KindManual {
		return c.retry(ctx, func(ctx context.Context) error {
			m.At = c.clock.Now()
			_, err := c.Client.Failover(ctx)
			return err
		})
	}
	fault := m.Kind
	if fault == measure.KindForce {
		fault = measure.KindCrash
	}
	m.At = c.clock.Now()
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := c.Client.Fault(ctx, m.Partner, client.Fault{Kind: fault}); err != nil || m.Kind != measure.KindForce {
		return err
	}
	return c.retry(ctx, func(ctx context.Context) error {
		_, err := c.Client.ForceService(ctx, true)
		return err
	})
}

// retry retries a request that may be refused for a moment.
func (c *planRunner) retry(ctx context.Context, do func(context.Context) error) error {
	for deadline := c.clock.Now() + tryFor; ; {
		err := measure.WithTimeout(ctx, requestTime, do)
		if err == nil || c.clock.Now() > deadline || c.clock.Wait(ctx, c.clock.Now()+tryAgain) != nil {
			return err
		}
	}
}

// lift lifts a fault. After forced service the old principal is SUSPENDED. It becomes the mirror
// when the session is resumed.
func (c *planRunner) lift(ctx context.Context, m measure.Attempt) error {
	err := c.retry(ctx, func(ctx context.Context) error {
		_, err := c.Client.Fault(ctx, m.Partner, client.Fault{Kind: "none"})
		return err
	})
	if err != nil || m.Kind != measure.KindForce {
		return err
	}
	return c.retry(ctx, func(ctx context.Context) error {
		if _, err := c.Client.Resume(ctx); err != nil {
			return err
		}
		s, err := c.State(ctx)
		if err == nil && !s.Synchronized() {
			err = fmt.Errorf("the mirror is not synchronized")
		}
		return err
	})
}
