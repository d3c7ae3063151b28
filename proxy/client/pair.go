package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The verbs below are of the operators' listener. They are sent once: what became
// of one is seen in the pair's state. Each answers that state, the JSON of GET
// /v1/pair. A refusal is an [*Error] named failover-refused.

// Pair reads the pair's state.
func (c *Client) Pair(ctx context.Context) (json.RawMessage, error) {
	q := request{method: http.MethodGet, path: "/v1/pair"}
	a, err := c.send(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("read the pair's state: %w", err)
	}
	return a.body, nil
}

// ServerVersion reads the version of the server whose operators' listener this is; empty: it does not tell.
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	q := request{method: http.MethodGet, path: "/v1/pair"}
	a, err := c.send(ctx, &q)
	if err != nil {
		return "", fmt.Errorf("read the server's version: %w", err)
	}
	return a.header.Get("Mirrorstate-Version"), nil
}

// Failover exchanges the roles of the partners, losing nothing, and returns when the
// new principal serves.
func (c *Client) Failover(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "failover", `{"kind":"manual"}`)
}

// ForceService makes the mirror principal although the old one is gone.
// Acknowledged writes may be lost, which must be allowed.
func (c *Client) ForceService(ctx context.Context, allowDataLoss bool) (json.RawMessage, error) {
	return c.operate(ctx, "failover", fmt.Sprintf(`{"kind":"force","allow_data_loss":%t}`, allowDataLoss))
}

// Suspend stops mirroring.
func (c *Client) Suspend(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "suspend", "{}")
}

// Resume starts it again.
func (c *Client) Resume(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "resume", "{}")
}

// Sweep has expired sessions deleted now. The state it answers says whether that is
// done, or still goes on.
func (c *Client) Sweep(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "sweep", "{}")
}

// Accept makes a partner, a or b, the one that is used, whatever its claim is worth
// beside the other's. The server logs the reason, which is required.
func (c *Client) Accept(ctx context.Context, partner, reason string) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]string{"partner": partner, "reason": reason})
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	return c.operate(ctx, "accept", string(body))
}

// Fault is what to do to a partner of an embedded pair.
type Fault struct {
	// Kind is crash, stop, start, freeze, sever, partition, isolate, slow or none, which
	// lifts every fault and starts what is down.
	Kind string
	// Delay and Jitter are slow's.
	Delay, Jitter time.Duration
	// App limits the fault to the connections of one application, by its name at
	// login. Empty: all.
	App string
}

// Fault breaks a partner of an embedded pair: a, b, or principal or mirror, which is
// who it is at that moment. It returns when the fault is in force.
func (c *Client) Fault(ctx context.Context, partner string, f Fault) (json.RawMessage, error) {
	body, err := json.Marshal(struct {
		Partner string  `json:"partner"`
		Fault   string  `json:"fault"`
		Delay   float64 `json:"delay_ms,omitempty"`
		Jitter  float64 `json:"jitter_ms,omitempty"`
		App     string  `json:"app,omitempty"`
	}{partner, f.Kind, milliseconds(f.Delay), milliseconds(f.Jitter), f.App})
	if err != nil {
		return nil, fmt.Errorf("fault: %w", err)
	}
	return c.operate(ctx, "fault", string(body))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (c *Client) operate(ctx context.Context, verb, body string) (json.RawMessage, error) {
	q := request{method: http.MethodPost, path: "/v1/pair/" + verb, body: []byte(body)}
	q.header("Content-Type", "application/json")
	a, err := c.sendOnce(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	return a.body, nil
}
