package operate

import (
	"fmt"
	"time"
)

// Side says which server is meant, whatever its role is now: "a", "b", or "witness".
type Side string

// The three servers there may be.
const (
	A       Side = "a"
	B       Side = "b"
	Witness Side = "witness"
)

// other is the partner of a partner.
func (s Side) other() Side {
	if s == A {
		return B
	}
	return A
}

// index is where a partner's things are.
func (s Side) index() int {
	if s == B {
		return 1
	}
	return 0
}

// Kind says what a step is.
type Kind string

// The kinds of steps.
const (
	Check Kind = "check" // a query that must give a row, or nothing is done
	Do    Kind = "do"    // a statement
	Wait  Kind = "wait"  // a query that gives a row before long
	Read  Kind = "read"  // a query whose row has values for later steps
	Carry Kind = "carry" // a file that somebody takes from one server to the other
)

// Step is one T-SQL text for one server.
type Step struct {
	On    Side   `json:"on"`
	Kind  Kind   `json:"kind"`
	Title string `json:"title"`         // what it is for, in one line
	Text  string `json:"text"`          // one statement or query, without a semicolon; $(Name) stands for a variable
	Why   string `json:"why,omitempty"` // the trap that it goes around
	// Unless is a query of a Do: a row means that it has been done already.
	Unless string `json:"unless,omitempty"`
	// Refusal is what is wrong where a Check finds no row, or a Wait none in time.
	Refusal *Refusal `json:"refusal,omitempty"`
	// Within bounds a Wait or Carry.
	Within time.Duration `json:"-"`
	// Into names the variables that a Read's columns become, in their order. They are
	// numbers or binary constants: nothing else is taken.
	Into []string `json:"into,omitempty"`
	// Again has the numbers of errors after which a Do is tried again for a while.
	Again []int32 `json:"-"`
	// Ignore has those that mean that there was nothing to do.
	Ignore []int32 `json:"-"`
	// Shows is what the views tell once a Do has had its effect, though it failed.
	Shows *Step `json:"-"`
	// Undo is done if this step fails, all of it.
	Undo []Step `json:"undo,omitempty"`
	// Out is the way out for a person if this step fails, statement by statement with its server.
	Out string `json:"out,omitempty"`
	// Repeat is a Do that is sent again and again while a Wait lasts, each time that its Unless gives no row. Its
	// errors are no failure: the wait's end is.
	Repeat *Step `json:"repeat,omitempty"`
}

// Refusal is why a verb was not carried out: SQL Server's number for it (0: it has none),
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

// Refusal gives the parts to who shows them, without that one knowing this package.
func (r *Refusal) Refusal() (number int32, message, advice string) {
	return r.Number, r.Message, r.Advice
}

// refuse makes a Refusal with the advice that belongs to the number.
func refuse(number int32, format string, args ...any) *Refusal {
	return &Refusal{Number: number, Message: fmt.Sprintf(format, args...), Advice: Advice(number)}
}

// Plan is a verb for one pair: what is done, where, in which order.
type Plan struct {
	Verb      string `json:"verb"`
	Topology  string `json:"topology"` // mirroring or availability-group
	Database  string `json:"database"`
	Principal Side   `json:"principal"` // principal or primary when it begins
	Steps     []Step `json:"steps"`
	// Secrets are the variables that whoever runs the scripts must choose: passwords.
	Secrets []string `json:"secrets,omitempty"`
	// Unchecked says what a plan made without servers took for granted.
	Unchecked []string `json:"unchecked,omitempty"`
	// After is what is left to a person when it is done.
	After []string `json:"after,omitempty"`
	// Servers are the sides' names for people: their addresses.
	Servers map[Side]string `json:"servers"`
}

func (p *Plan) add(steps ...Step) { p.Steps = append(p.Steps, steps...) }
