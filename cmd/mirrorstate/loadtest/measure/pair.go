package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// PairState is what the load test reads of GET /v1/pair.
type PairState struct {
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

func (s PairState) Synchronized() bool {
	for _, p := range s.Partners {
		if p.State != "SYNCHRONIZED" {
			return false
		}
	}
	return s.Principal != ""
}

// Operator asks an operators' listener for failovers and faults.
type Operator struct{ Client *client.Client }

// askTime bounds one request to the operators' listener.
const askTime = 30 * time.Second

// principalTime is how long a server may take to learn who is principal, and askAgain
// how long the load test waits between two questions.
const (
	principalTime = 10 * time.Second
	askAgain      = 20 * time.Millisecond
)

func (o Operator) State(ctx context.Context) (s PairState, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	text, err := o.Client.Pair(ctx)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("the answer is not mirrorstate's: %w", err)
	}
	return s, nil
}

// Known is the pair's state once there is a principal: a server that has just started does
// not know what pair it has. After a while it is what it is.
func (o Operator) Known(ctx context.Context) (s PairState, err error) {
	for deadline := time.Now().Add(principalTime); ; {
		if s, err = o.State(ctx); err != nil || s.Principal != "" || time.Now().After(deadline) {
			return s, err
		}
		if err := SleepUntil(ctx, time.Now().Add(askAgain)); err != nil {
			return s, err
		}
	}
}
