package loadtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// possibleKinds are the kinds of failovers that a pair can do.
func possibleKinds(s pairState) []string {
	switch {
	case s.Embedded != nil && s.Embedded.Witness:
		return []string{kindManual, kindCrash, kindFreeze, kindIsolate, kindPartition, kindSever}
	case s.Embedded != nil:
		return kinds
	case s.Topology == "plain":
		return nil
	}
	return []string{kindManual}
}

// requestTime bounds one request for a failover or a fault.
const requestTime = 30 * time.Second

// Between two tries of what is refused for a moment, and how long it is tried: a mirror
// that has just caught up, or has yet to notice that its principal is gone.
const (
	tryAgain = 20 * time.Millisecond
	tryFor   = 4 * time.Second
)

// checkKinds refuses failovers that the pair can't do.
func checkKinds(ctx context.Context, o *operator, list []Planned) error {
	if len(list) == 0 {
		return nil
	}
	s, err := o.known(ctx)
	if err != nil {
		return fmt.Errorf("ask the operators' listener for the pair: %w", err)
	}
	can := possibleKinds(s)
	for _, p := range list {
		if !slices.Contains(can, p.Kind) {
			return usage("--failover %s: this pair (%s) can't; it can do %s", p.Kind, describe(s), orNothing(can))
		}
	}
	return nil
}

func describe(s pairState) string {
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
	operator
	clock clock
	say   func(format string, args ...any) // told of each one
}

// run makes what is planned until ctx ends. What was broken is mended before it returns.
func (c *planRunner) run(ctx context.Context, plan []Planned) (attempts []Attempt) {
	for _, p := range plan {
		if c.clock.wait(ctx, p.At) != nil {
			return attempts
		}
		m := c.trigger(ctx, p)
		attempts = append(attempts, m)
		if m.Refused != "" {
			c.say("%s was refused: %s", p.Kind, m.Refused)
			continue
		}
		c.say("%s: asked for, partner %s", p.Kind, m.Partner)
		if recovery(p.Kind) < faultTime {
			continue
		}
		_ = c.clock.wait(ctx, m.At+faultTime) // an interrupt lifts it at once
		if err := c.lift(context.WithoutCancel(ctx), m); err != nil {
			m.NotLifted = err.Error()
		}
		m.Lifted = c.clock.now()
		attempts[len(attempts)-1] = m
	}
	return attempts
}

// trigger makes one failover.
func (c *planRunner) trigger(ctx context.Context, p Planned) Attempt {
	m := Attempt{Kind: p.Kind, At: c.clock.now()}
	s, err := c.state(ctx)
	if err == nil && s.Principal == "" {
		err = fmt.Errorf("nobody is principal")
	}
	if m.Partner = s.Principal; err == nil {
		err = c.request(ctx, &m)
	}
	if err != nil {
		m.Refused = err.Error()
	}
	return m
}

// request has it done, and notes when it was asked for.
func (c *planRunner) request(ctx context.Context, m *Attempt) error {
	if m.Kind == kindManual {
		return c.retry(ctx, func(ctx context.Context) error {
			m.At = c.clock.now()
			_, err := c.client.Failover(ctx)
			return err
		})
	}
	fault := m.Kind
	if fault == kindForce {
		fault = kindCrash
	}
	m.At = c.clock.now()
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := c.client.Fault(ctx, m.Partner, client.Fault{Kind: fault}); err != nil || m.Kind != kindForce {
		return err
	}
	return c.retry(ctx, func(ctx context.Context) error {
		_, err := c.client.ForceService(ctx, true)
		return err
	})
}

// retry tries again what is refused for a moment.
func (c *planRunner) retry(ctx context.Context, do func(context.Context) error) error {
	for deadline := c.clock.now() + tryFor; ; {
		err := withTimeout(ctx, requestTime, do)
		if err == nil || c.clock.now() > deadline || c.clock.wait(ctx, c.clock.now()+tryAgain) != nil {
			return err
		}
	}
}

// lift takes a fault back. After forced service the old principal returns SUSPENDED,
// and is a mirror again once the session is resumed.
func (c *planRunner) lift(ctx context.Context, m Attempt) error {
	err := c.retry(ctx, func(ctx context.Context) error {
		_, err := c.client.Fault(ctx, m.Partner, client.Fault{Kind: "none"})
		return err
	})
	if err != nil || m.Kind != kindForce {
		return err
	}
	return c.retry(ctx, func(ctx context.Context) error {
		if _, err := c.client.Resume(ctx); err != nil {
			return err
		}
		s, err := c.state(ctx)
		if err == nil && !s.synchronized() {
			err = fmt.Errorf("the mirror has not caught up")
		}
		return err
	})
}
