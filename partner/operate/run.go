package operate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Outcome is the result of a step.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Skipped Outcome = "skipped" // it was not needed
	Passed  Outcome = "passed"  // a check or wait whose query returned a row
	Waiting Outcome = "waiting" // a wait has begun, also for a file; another outcome follows
	Failed  Outcome = "failed"
	Undone  Outcome = "undone" // an Undo step was run
)

// Event reports the end of a step, or the beginning of a wait.
type Event struct {
	Number  int     `json:"number"` // of the step in the plan, from 1
	Step    Step    `json:"step"`
	Outcome Outcome `json:"outcome"`
	Note    string  `json:"note,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Runner runs plans.
type Runner struct {
	// Servers are the connections. A plan with steps for a server without a connection is refused.
	Servers map[Side]Server
	// Tell is called for each event, one after the other. It may be nil.
	Tell func(Event)
	// Poll is the pause between two queries of a wait. Default 100 ms.
	Poll time.Duration
	// Transient is how long a statement is retried after a temporary error. Default 1 min.
	Transient time.Duration

	values map[string]string
}

// Run runs the steps of a plan until one fails. The error is a *Refusal if
// a check failed, a server refused a statement, or a wait timed out. ctx bounds the whole run.
// After an error the effects of earlier steps stay; only the Undo of the failed step is run.
func (r *Runner) Run(ctx context.Context, p *Plan) error {
	r.values = map[string]string{}
	for _, secret := range p.Secrets {
		r.values[secret] = newPassword()
	}
	for _, s := range p.Steps {
		if r.Servers[s.On] == nil {
			return &Refusal{On: s.On, Message: "there is no connection to " + string(s.On), Advice: "run the part for this server by hand: --dry-run prints the script"}
		}
	}
	for i, s := range p.Steps {
		began := time.Now()
		outcome, note, err := r.step(ctx, i+1, s)
		if err != nil {
			err = s.withRecovery(err)
			r.tell(Event{Number: i + 1, Step: s, Outcome: Failed, Note: err.Error(), Seconds: time.Since(began).Seconds()})
			return r.undo(ctx, i+1, s, err)
		}
		r.tell(Event{Number: i + 1, Step: s, Outcome: outcome, Note: note, Seconds: time.Since(began).Seconds()})
	}
	return nil
}

func (r *Runner) tell(e Event) {
	if r.Tell != nil {
		r.Tell(e)
	}
}

// withRecovery adds the step's Out to its error.
func (s Step) withRecovery(err error) error {
	if s.Out == "" {
		return err
	}
	if f, ok := errors.AsType[*Refusal](err); ok {
		with := *f
		with.Advice += ". To recover: " + s.Out
		return &with
	}
	return fmt.Errorf("%w. To recover: %s", err, s.Out)
}

// newPassword returns a random password that satisfies SQL Server's policy. Nobody needs it later: the
// service master key opens the master key, and the endpoints' logins authenticate with certificates.
func newPassword() string { return "m7-" + rand.Text() + "x" }

// undo runs the Undo of a failed step, and returns why.
func (r *Runner) undo(ctx context.Context, n int, s Step, why error) error {
	// The deadline of the verb may be over. The Undo must run nevertheless.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	for _, u := range s.Undo {
		_, note, err := r.do(ctx, u)
		outcome := Undone
		if err != nil {
			outcome, note = Failed, err.Error()
		}
		r.tell(Event{Number: n, Step: u, Outcome: outcome, Note: note})
	}
	return why
}

func (r *Runner) step(ctx context.Context, n int, s Step) (Outcome, string, error) {
	switch s.Kind {
	case Check:
		ok, err := r.holds(ctx, s.On, s.Text)
		if err == nil && !ok {
			err = s.refusal()
		}
		return Passed, "", err
	case Wait:
		r.tell(Event{Number: n, Step: s, Outcome: Waiting})
		return Passed, "", r.wait(ctx, s)
	case Carry:
		return Passed, "", r.waitForFile(ctx, n, s)
	case Read:
		return Passed, "", r.read(ctx, s)
	}
	return r.do(ctx, s)
}

// refusal returns the step's Refusal, with its server.
func (s Step) refusal() *Refusal {
	if s.Refusal == nil {
		return &Refusal{On: s.On, Message: s.Title + ": not the case", Advice: Advice(0)}
	}
	f := *s.Refusal
	f.On = s.On
	return &f
}

// holds reports whether a query returns a row.
func (r *Runner) holds(ctx context.Context, on Side, query string) (bool, error) {
	rows, err := r.Servers[on].Query(ctx, expand(query, r.values))
	if err != nil {
		return false, asRefusal(on, err)
	}
	return len(rows) > 0, nil
}

// isSo reports whether a wait's query returns a row now.
func (r *Runner) isSo(ctx context.Context, s Step) bool {
	ok, err := r.holds(ctx, s.On, s.Text)
	return ok && err == nil
}

// do runs a statement unless it is not needed. It retries after temporary errors.
func (r *Runner) do(ctx context.Context, s Step) (Outcome, string, error) {
	if s.Unless != "" {
		done, err := r.holds(ctx, s.On, s.Unless)
		if err != nil {
			return "", "", err
		}
		if done {
			return Skipped, "not needed", nil
		}
	}
	patience := time.Now().Add(orElse(r.Transient, time.Minute))
	for {
		err := r.Servers[s.On].Exec(ctx, expand(s.Text, r.values))
		if err == nil {
			return Done, "", nil
		}
		number, plain := numberOf(err)
		switch {
		case slices.Contains(s.Ignore, number):
			return Skipped, fmt.Sprintf("error %d: there was nothing to do", number), nil
		case slices.Contains(s.Again, number) && s.Shows != nil && r.isSo(ctx, *s.Shows):
			return Done, fmt.Sprintf("error %d, but the views show the result", number), nil
		case slices.Contains(s.Again, number) && time.Now().Before(patience):
			if err := r.pause(ctx); err != nil {
				return "", "", err
			}
			continue
		}
		if s.Shows != nil && r.shown(ctx, *s.Shows, plain) {
			return Done, "it returned an error, but the views show the result: " + err.Error(), nil
		}
		return "", "", asRefusal(s.On, err)
	}
}

// shown reports whether the views show that a statement took effect although it returned an error. After
// a broken connection this may take a while. After a plain refusal it is unlikely, so shown waits one second.
func (r *Runner) shown(ctx context.Context, s Step, plain bool) bool {
	s.Within = min(s.Within, 30*time.Second)
	if plain {
		s.Within = min(s.Within, time.Second)
	}
	return r.wait(ctx, s) == nil
}

// wait repeats the query until it returns a row. If the server can't be asked, wait continues.
func (r *Runner) wait(ctx context.Context, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, s.Within)
	defer cancel()
	var last error
	for next := time.Now(); ; {
		ok, err := r.holds(ctx, s.On, s.Text)
		if ok {
			return nil
		}
		if err != nil {
			last = err
		}
		if s.Repeat != nil && !time.Now().Before(next) {
			if _, _, err := r.do(ctx, *s.Repeat); err != nil {
				last = err
			}
			next = time.Now().Add(repeatPause)
		}
		if r.pause(ctx) != nil {
			f := s.refusal()
			f.Message += " within " + s.Within.String()
			if last != nil {
				f.Message += " (" + last.Error() + ")"
			}
			return f
		}
	}
}

// repeatPause is the pause between two statements of a Wait's Repeat.
const repeatPause = time.Second

// waitForFile waits until a file exists and is complete. It reports once that it waits.
func (r *Runner) waitForFile(ctx context.Context, n int, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, s.Within)
	defer cancel()
	for reported := false; ; reported = true {
		_, err := r.Servers[s.On].Query(ctx, s.Text)
		if err == nil {
			return nil
		}
		if n, _ := numberOf(err); ctx.Err() == nil && !slices.Contains(notThereYet, n) {
			return asRefusal(s.On, err)
		}
		if !reported {
			r.tell(Event{Number: n, Step: s, Outcome: Waiting, Note: "for at most " + s.Within.String()})
		}
		if r.pause(ctx) != nil {
			return s.gaveUp(ctx)
		}
	}
}

// gaveUp returns the refusal of a wait that timed out or was stopped.
func (s Step) gaveUp(ctx context.Context) *Refusal {
	f := s.refusal()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		f.Message += " within " + s.Within.String()
		return f
	}
	f.Message = "stopped while waiting: " + f.Message
	return f
}

// constant matches the values that may be copied from one server into a statement for another.
var constant = regexp.MustCompile(`^(0x[0-9A-Fa-f]+|[0-9]+)$`)

// read stores a row's values for later steps, in the order of the step's variables. It accepts only numbers and
// binary constants, because the values are put into statements without quotes.
func (r *Runner) read(ctx context.Context, s Step) error {
	rows, err := r.Servers[s.On].Query(ctx, expand(s.Text, r.values))
	if err != nil {
		return asRefusal(s.On, err)
	}
	if len(rows) != 1 || len(rows[0]) != len(s.Into) {
		return &Refusal{On: s.On, Number: 15151, Message: s.Title + ": not found", Advice: Advice(15151)}
	}
	for i, column := range columnsOf(s.Text, slices.Collect(maps.Keys(rows[0]))) {
		v := rows[0][column]
		if !constant.MatchString(v) {
			return &Refusal{On: s.On, Message: s.Title + ": the server's answer is not a binary constant", Advice: Advice(0)}
		}
		r.values[s.Into[i]] = v
	}
	return nil
}

// columnsOf returns the columns in the order in which the query names them.
func columnsOf(query string, columns []string) []string {
	slices.SortFunc(columns, func(a, b string) int {
		return strings.Index(query, " AS "+a) - strings.Index(query, " AS "+b)
	})
	return columns
}

func (r *Runner) pause(ctx context.Context) error {
	t := time.NewTimer(orElse(r.Poll, 100*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func orElse(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// numberOf returns SQL Server's number of an error, 0 if the error is not from the server. plain is true if the
// server refused the statement, so nothing was done.
func numberOf(err error) (number int32, plain bool) {
	n := numbered(nil)
	if !errors.As(err, &n) {
		return 0, false
	}
	severe, ok := n.(interface{ SQLErrorClass() uint8 })
	return n.SQLErrorNumber(), !ok || severe.SQLErrorClass() < 20
}

// asRefusal returns an error of a server as a Refusal with advice.
func asRefusal(on Side, err error) error {
	if f, ok := errors.AsType[*Refusal](err); ok {
		return f
	}
	n := numbered(nil)
	if errors.As(err, &n) {
		return &Refusal{On: on, Number: n.SQLErrorNumber(), Message: strings.TrimSuffix(n.SQLErrorMessage(), "."), Advice: Advice(n.SQLErrorNumber())}
	}
	return fmt.Errorf("ask %s: %w", on, err)
}
