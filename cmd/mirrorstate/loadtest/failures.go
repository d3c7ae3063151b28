package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// pairState is what the load test reads of GET /v1/pair.
type pairState struct {
	Topology  string `json:"topology"`
	Schema    string `json:"schema"`
	Database  string `json:"database"`
	Principal string `json:"principal"`
	Epoch     int64  `json:"epoch"`
	Holding   int    `json:"holding"`
	Partners  []struct {
		Name    string `json:"name"`
		Address string `json:"address"`
		State   string `json:"state"`
		Safety  string `json:"safety"`
	} `json:"partners"`
	Embedded *struct {
		Witness bool `json:"witness"`
	} `json:"embedded"`
}

// can are the kinds of failovers that this pair can do.
func (s pairState) can() []string {
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

func (s pairState) synchronized() bool {
	for _, p := range s.Partners {
		if p.State != "SYNCHRONIZED" {
			return false
		}
	}
	return s.Principal != ""
}

// operator asks an operators' listener for failovers and faults.
type operator struct{ client *client.Client }

// askTime bounds one request to the operators' listener.
const askTime = 30 * time.Second

// Between two tries of what is refused for a moment, and how long it is tried: a mirror
// that has just caught up, or has yet to notice that its principal is gone.
const (
	tryAgain = 20 * time.Millisecond
	tryFor   = 4 * time.Second
)

func (o operator) state(ctx context.Context) (s pairState, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	text, err := o.client.Pair(ctx)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("the answer is not mirrorstate's: %w", err)
	}
	return s, nil
}

// known is the pair's state once there is a principal: a server that has just started does
// not know what pair it has. After a while it is what it is.
func (o operator) known(ctx context.Context) (s pairState, err error) {
	for deadline := time.Now().Add(lookTime); ; {
		if s, err = o.state(ctx); err != nil || s.Principal != "" || time.Now().After(deadline) {
			return s, err
		}
		if err := sleepUntil(ctx, time.Now().Add(tryAgain)); err != nil {
			return s, err
		}
	}
}

// check refuses failovers that the pair can't do.
func (o operator) check(ctx context.Context, list []Planned) error {
	if len(list) == 0 {
		return nil
	}
	s, err := o.known(ctx)
	if err != nil {
		return fmt.Errorf("ask the operators' listener for the pair: %w", err)
	}
	can := s.can()
	for _, p := range list {
		if !slices.Contains(can, p.Kind) {
			return usage("--failover %s: this pair (%s) can't; it can do %s", p.Kind, s.describe(), orNothing(can))
		}
	}
	return nil
}

func (s pairState) describe() string {
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

// Made is a failover that was asked for.
type Made struct {
	Kind    string
	At      time.Duration // when it was asked for, from the begin of measuring
	Partner string        // the principal it was done to
	Lifted  time.Duration // when the fault was lifted; 0: it had not to be
	Refused string        // why it was not made
	Left    string        // why the fault was not lifted
}

// conductor makes the failovers of a plan, one after the other.
type conductor struct {
	operator
	clock clock
	say   func(format string, args ...any) // told of each one
}

// run makes what is planned until ctx ends. What was broken is mended before it returns.
func (c *conductor) run(ctx context.Context, plan []Planned) (made []Made) {
	for _, p := range plan {
		if c.clock.wait(ctx, p.At) != nil {
			return made
		}
		m := c.make(ctx, p)
		made = append(made, m)
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
			m.Left = err.Error()
		}
		m.Lifted = c.clock.now()
		made[len(made)-1] = m
	}
	return made
}

// make makes one failover.
func (c *conductor) make(ctx context.Context, p Planned) Made {
	m := Made{Kind: p.Kind, At: c.clock.now()}
	s, err := c.state(ctx)
	if err == nil && s.Principal == "" {
		err = fmt.Errorf("nobody is principal")
	}
	if m.Partner = s.Principal; err == nil {
		err = c.cause(ctx, &m)
	}
	if err != nil {
		m.Refused = err.Error()
	}
	return m
}

// cause has it done, and notes when it was asked for.
func (c *conductor) cause(ctx context.Context, m *Made) error {
	if m.Kind == kindManual {
		return c.persist(ctx, func(ctx context.Context) error {
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
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if _, err := c.client.Fault(ctx, m.Partner, client.Fault{Kind: fault}); err != nil || m.Kind != kindForce {
		return err
	}
	return c.persist(ctx, func(ctx context.Context) error {
		_, err := c.client.ForceService(ctx, true)
		return err
	})
}

// persist tries again what is refused for a moment.
func (c *conductor) persist(ctx context.Context, do func(context.Context) error) error {
	for deadline := c.clock.now() + tryFor; ; {
		err := within(ctx, askTime, do)
		if err == nil || c.clock.now() > deadline || c.clock.wait(ctx, c.clock.now()+tryAgain) != nil {
			return err
		}
	}
}

// within bounds one call.
func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// lift takes a fault back. After forced service the old principal returns SUSPENDED,
// and is a mirror again once the session is resumed.
func (c *conductor) lift(ctx context.Context, m Made) error {
	err := c.persist(ctx, func(ctx context.Context) error {
		_, err := c.client.Fault(ctx, m.Partner, client.Fault{Kind: "none"})
		return err
	})
	if err != nil || m.Kind != kindForce {
		return err
	}
	return c.persist(ctx, func(ctx context.Context) error {
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
