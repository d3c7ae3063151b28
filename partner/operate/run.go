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

// Outcome is what became of one step.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Skipped Outcome = "skipped" // it was so already
	Passed  Outcome = "passed"  // a check or wait that holds
	Waiting Outcome = "waiting" // a wait or a file to be carried; another outcome follows
	Failed  Outcome = "failed"
	Undone  Outcome = "undone" // what it began was taken back
)

// Event is told of each step when it has ended, and of waits when they begin.
type Event struct {
	Number  int     `json:"number"` // of the step in the plan, from 1
	Step    Step    `json:"step"`
	Outcome Outcome `json:"outcome"`
	Note    string  `json:"note,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Runner carries plans out.
type Runner struct {
	// Servers are the connections. A plan with steps for a server that is not here is refused.
	Servers map[Side]Server
	// Tell is called for each event, one after the other. nil: nobody is told.
	Tell func(Event)
	// Poll is the pause between two looks. Default 100 ms.
	Poll time.Duration
	// Transient bounds how long a statement is tried again after a passing refusal. Default 1 min.
	Transient time.Duration

	values map[string]string
}

// Run carries out a plan, step after step, until one fails. Its error is a *Refusal where
// a check was not met, a server refused, or the views did not come to show what was done
// within their time; ctx bounds everything. What was done before stays, but for what the
// plan says is to be undone.
func (r *Runner) Run(ctx context.Context, p *Plan) error {
	r.values = map[string]string{}
	for _, secret := range p.Secrets {
		r.values[secret] = newPassword()
	}
	for _, s := range p.Steps {
		if r.Servers[s.On] == nil {
			return &Refusal{On: s.On, Message: "there is no connection to " + string(s.On), Advice: "run its part by hand: --dry-run prints the script"}
		}
	}
	for i, s := range p.Steps {
		began := time.Now()
		outcome, note, err := r.step(ctx, i+1, s)
		if err != nil {
			err = s.withWayOut(err)
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

// withWayOut adds the step's way out to what a person is told of its failure.
func (s Step) withWayOut(err error) error {
	if s.Out == "" {
		return err
	}
	if f, ok := errors.AsType[*Refusal](err); ok {
		with := *f
		with.Advice += ". The way out: " + s.Out
		return &with
	}
	return fmt.Errorf("%w. The way out: %s", err, s.Out)
}

// newPassword makes one that satisfies SQL Server's policy. Nobody ever needs it: the
// service's own key opens the master key, and the endpoint's logins show certificates.
func newPassword() string { return "m7-" + rand.Text() + "x" }

// undo takes back what a failed step began, as the plan says.
func (r *Runner) undo(ctx context.Context, n int, s Step, why error) error {
	// The time of the verb may be over, which is no reason to leave it half done.
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
		return Passed, "", r.arrive(ctx, n, s)
	case Read:
		return Passed, "", r.read(ctx, s)
	}
	return r.do(ctx, s)
}

// refusal is the step's own, with its server.
func (s Step) refusal() *Refusal {
	if s.Refusal == nil {
		return &Refusal{On: s.On, Message: s.Title + " does not hold", Advice: Advice(0)}
	}
	f := *s.Refusal
	f.On = s.On
	return &f
}

// holds says whether a query gives a row.
func (r *Runner) holds(ctx context.Context, on Side, query string) (bool, error) {
	rows, err := r.Servers[on].Query(ctx, expand(query, r.values))
	if err != nil {
		return false, asRefusal(on, err)
	}
	return len(rows) > 0, nil
}

// isSo reports whether a wait's query gives a row now.
func (r *Runner) isSo(ctx context.Context, s Step) bool {
	ok, err := r.holds(ctx, s.On, s.Text)
	return ok && err == nil
}

// do carries out a statement, unless it has been done, and as often as passing refusals want it.
func (r *Runner) do(ctx context.Context, s Step) (Outcome, string, error) {
	if s.Unless != "" {
		done, err := r.holds(ctx, s.On, s.Unless)
		if err != nil {
			return "", "", err
		}
		if done {
			return Skipped, "it is so already", nil
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
			return Done, fmt.Sprintf("error %d, and the views show that it is so", number), nil
		case slices.Contains(s.Again, number) && time.Now().Before(patience):
			if err := r.pause(ctx); err != nil {
				return "", "", err
			}
			continue
		}
		if s.Shows != nil && r.shown(ctx, *s.Shows, plain) {
			return Done, "it returned an error, and the views show that it was done: " + err.Error(), nil
		}
		return "", "", asRefusal(s.On, err)
	}
}

// shown looks whether the views tell that a statement which returned an error was carried out all the
// same. A broken connection leaves that open for a while; a plain refusal hardly.
func (r *Runner) shown(ctx context.Context, s Step, plain bool) bool {
	s.Within = min(s.Within, 30*time.Second)
	if plain {
		s.Within = min(s.Within, time.Second)
	}
	return r.wait(ctx, s) == nil
}

// wait looks until the query gives a row. That a server can't be asked just now is no answer.
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

// arrive waits for a file to be there, whole; that it waits is told once.
func (r *Runner) arrive(ctx context.Context, n int, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, s.Within)
	defer cancel()
	for told := false; ; told = true {
		_, err := r.Servers[s.On].Query(ctx, s.Text)
		if err == nil {
			return nil
		}
		if n, _ := numberOf(err); ctx.Err() == nil && !slices.Contains(notThereYet, n) {
			return asRefusal(s.On, err)
		}
		if !told {
			r.tell(Event{Number: n, Step: s, Outcome: Waiting, Note: "for " + s.Within.String() + " at most"})
		}
		if r.pause(ctx) != nil {
			return s.gaveUp(ctx)
		}
	}
}

// gaveUp is the refusal of a wait that is over: its time is, or somebody stopped it.
func (s Step) gaveUp(ctx context.Context) *Refusal {
	f := s.refusal()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		f.Message += " within " + s.Within.String()
		return f
	}
	f.Message = "stopped while waiting: " + f.Message
	return f
}

// carried is what a value from one server may look like in a statement for another.
var carried = regexp.MustCompile(`^(0x[0-9A-Fa-f]+|[0-9]+)$`)

// read takes a row's values for later steps, in the order of the step's variables. Only numbers and
// binary constants are taken: the values go into statements as they are.
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
		if !carried.MatchString(v) {
			return &Refusal{On: s.On, Message: s.Title + ": the server's answer is no binary constant", Advice: Advice(0)}
		}
		r.values[s.Into[i]] = v
	}
	return nil
}

// columnsOf gives the columns in the order in which the query names them.
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

// numberOf is the server's number of an error, 0 if it is not the server's; plain says that the
// server refused, so that nothing was done.
func numberOf(err error) (number int32, plain bool) {
	n := numbered(nil)
	if !errors.As(err, &n) {
		return 0, false
	}
	severe, ok := n.(interface{ SQLErrorClass() uint8 })
	return n.SQLErrorNumber(), !ok || severe.SQLErrorClass() < 20
}

// asRefusal says what to do about an error of a server.
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
