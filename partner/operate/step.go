package operate

import (
	"fmt"
	"time"
)

// Side names a server independent of its role: "a", "b", or "witness".
type Side string

// The servers of a pair.
const (
	A       Side = "a"
	B       Side = "b"
	Witness Side = "witness"
)

// other returns the other partner.
func (s Side) other() Side {
	if s == A {
		return B
	}
	return A
}

// index returns the index of a partner in arrays of two.
func (s Side) index() int {
	if s == B {
		return 1
	}
	return 0
}

// Kind is the kind of a step.
type Kind string

// The kinds of steps.
const (
	Check Kind = "check" // a query that must return a row; otherwise the plan stops
	Do    Kind = "do"    // a statement
	Wait  Kind = "wait"  // a query that is repeated until it returns a row
	Read  Kind = "read"  // a query whose row has values for later steps
	Carry Kind = "carry" // a file that a person copies from one server to the other
)

// Step is one T-SQL text for one server.
type Step struct {
	On    Side   `json:"on"`
	Kind  Kind   `json:"kind"`
	Title string `json:"title"`         // its purpose, in one line
	Text  string `json:"text"`          // one statement or query, without a semicolon; $(Name) stands for a variable
	Why   string `json:"why,omitempty"` // why it is done this way
	// Unless is a query of a Do: if it returns a row, the statement is not needed.
	Unless string `json:"unless,omitempty"`
	// Refusal is the error of a Check without a row, or of a Wait without a row in time.
	Refusal *Refusal `json:"refusal,omitempty"`
	// Within is the deadline of a Wait or Carry.
	Within time.Duration `json:"-"`
	// Into names the variables that get the values of a Read's columns, in their order. Only
	// numbers and binary constants are accepted.
	Into []string `json:"into,omitempty"`
	// Again has the numbers of the errors after which a Do is retried for a while.
	Again []int32 `json:"-"`
	// Ignore has the numbers of the errors that mean that there was nothing to do.
	Ignore []int32 `json:"-"`
	// Shows is a Wait that succeeds if a Do took effect although it returned an error.
	Shows *Step `json:"-"`
	// Undo are the steps to run if this step fails.
	Undo []Step `json:"undo,omitempty"`
	// Out says how to recover if this step fails: the statements, each with its server.
	Out string `json:"out,omitempty"`
	// Repeat is a Do that a Wait sends repeatedly, whenever its Unless returns no row. Its
	// errors do not end the Wait; only its deadline does.
	Repeat *Step `json:"repeat,omitempty"`
}

// Refusal is the reason why a verb failed: SQL Server's error number (0: there is none),
// what is wrong, and what to do.
type Refusal struct {
	Number  int32  `json:"number,omitempty"`
	Message string `json:"message"`
	Advice  string `json:"advice"`
	On      Side   `json:"on,omitempty"`
}

// Error implements error.
func (r *Refusal) Error() string {
	on := ""
	if r.On != "" {
		on = " on " + string(r.On)
	}
	if r.Number == 0 {
		return fmt.Sprintf("refused%s: %s; %s", on, r.Message, r.Advice)
	}
	return fmt.Sprintf("refused%s (%d): %s; %s", on, r.Number, r.Message, r.Advice)
}

// Refusal returns the parts of the refusal, for callers that don't import this package.
func (r *Refusal) Refusal() (number int32, message, advice string) {
	return r.Number, r.Message, r.Advice
}

// refuse returns a Refusal with the advice for the number.
func refuse(number int32, format string, args ...any) *Refusal {
	return &Refusal{Number: number, Message: fmt.Sprintf(format, args...), Advice: Advice(number)}
}

// Plan is the ordered list of steps of a verb for one pair.
type Plan struct {
	Verb      string `json:"verb"`
	Topology  string `json:"topology"` // mirroring or availability-group
	Database  string `json:"database"`
	Principal Side   `json:"principal"` // the principal or primary at the start
	Steps     []Step `json:"steps"`
	// Secrets are the variables for passwords, which the person who runs the scripts must choose.
	Secrets []string `json:"secrets,omitempty"`
	// Unchecked lists the assumptions of a plan made without servers.
	Unchecked []string `json:"unchecked,omitempty"`
	// After lists what a person must do when the plan is done.
	After []string `json:"after,omitempty"`
	// Servers are the addresses of the servers, for people.
	Servers map[Side]string `json:"servers"`
}

func (p *Plan) add(steps ...Step) { p.Steps = append(p.Steps, steps...) }
