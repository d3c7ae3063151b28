package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// PairState is the part of the answer to GET /v1/pair that the load test uses.
type PairState struct {
	Topology  string `json:"topology"` // mirroring, availability-group, embedded or plain
	Schema    string `json:"schema"`   // stock or extended
	Database  string `json:"database"`
	Principal string `json:"principal"` // its name; empty: none
	Epoch     int64  `json:"epoch"`     // the fencing number of the pair
	Holding   int    `json:"holding"`   // calls that wait for a principal
	Partners  []struct {
		Name    string `json:"name"`
		Address string `json:"address"`
		State   string `json:"state"`
		Safety  string `json:"safety"`
	} `json:"partners"`
	Embedded *struct { // nil: not an embedded pair
		Witness bool `json:"witness"`
	} `json:"embedded"`
}

// Synchronized reports whether there is a principal and every partner is SYNCHRONIZED.
func (s PairState) Synchronized() bool {
	for _, p := range s.Partners {
		if p.State != "SYNCHRONIZED" {
			return false
		}
	}
	return s.Principal != ""
}

// Operator calls one operators' listener. Its methods may be called concurrently.
type Operator struct{ Client *client.Client }

// askTime bounds one call of the operators' listener.
const askTime = 30 * time.Second

// principalTime is how long [Operator.WaitPrincipal] waits for a principal, and askAgain the time
// between two of its calls.
const (
	principalTime = 10 * time.Second
	askAgain      = 20 * time.Millisecond
)

// State asks for the pair's state. It takes 30 s at most.
func (o Operator) State(ctx context.Context) (s PairState, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	text, err := o.Client.Pair(ctx)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("not an answer of mirrorstate: %w", err)
	}
	return s, nil
}

// WaitPrincipal returns the pair's state once there is a principal. A server that has just started
// does not know its pair yet. After 10 s it returns the state without a principal.
func (o Operator) WaitPrincipal(ctx context.Context) (s PairState, err error) {
	for deadline := time.Now().Add(principalTime); ; {
		if s, err = o.State(ctx); err != nil || s.Principal != "" || time.Now().After(deadline) {
			return s, err
		}
		if err := SleepUntil(ctx, time.Now().Add(askAgain)); err != nil {
			return s, err
		}
	}
}
