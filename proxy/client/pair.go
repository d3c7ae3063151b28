package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The methods below call the operators' listener. The verbs are sent once and not retried: the
// pair's state shows whether a verb was applied. Each verb returns that state, the JSON of GET
// /v1/pair. A refusal is an [*Error] with the name failover-refused.

// Pair reads the pair's state.
func (c *Client) Pair(ctx context.Context) (json.RawMessage, error) {
	q := request{method: http.MethodGet, path: "/v1/pair"}
	a, err := c.send(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("read the pair's state: %w", err)
	}
	return a.body, nil
}

// ServerVersion reads the version of the server behind the operators' listener; empty: the server does not say.
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	q := request{method: http.MethodGet, path: "/v1/pair"}
	a, err := c.send(ctx, &q)
	if err != nil {
		return "", fmt.Errorf("read the server's version: %w", err)
	}
	return a.header.Get("Mirrorstate-Version"), nil
}

// Failover exchanges the roles of the partners without data loss. It returns when the
// new principal serves.
func (c *Client) Failover(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "failover", `{"kind":"manual"}`)
}

// ForceService makes the mirror principal although the old principal is gone.
// Acknowledged writes may be lost; allowDataLoss must be true.
func (c *Client) ForceService(ctx context.Context, allowDataLoss bool) (json.RawMessage, error) {
	return c.operate(ctx, "failover", fmt.Sprintf(`{"kind":"force","allow_data_loss":%t}`, allowDataLoss))
}

// Suspend stops mirroring.
func (c *Client) Suspend(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "suspend", "{}")
}

// Resume resumes mirroring.
func (c *Client) Resume(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "resume", "{}")
}

// Sweep starts a sweep of expired sessions. The state it returns says whether the sweep
// is done or still running.
func (c *Client) Sweep(ctx context.Context) (json.RawMessage, error) {
	return c.operate(ctx, "sweep", "{}")
}

// Accept makes the server use this partner, a or b, as principal, even if the other's claim
// is higher. The reason is required; the server logs it.
func (c *Client) Accept(ctx context.Context, partner, reason string) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]string{"partner": partner, "reason": reason})
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	return c.operate(ctx, "accept", string(body))
}

// Fault is a fault to cause at a partner of an embedded pair.
type Fault struct {
	// Kind is crash, stop, start, freeze, sever, partition, isolate, slow or none. none
	// lifts every fault of the partner and starts it if it is down.
	Kind string
	// Delay and Jitter apply to slow.
	Delay, Jitter time.Duration
	// App limits the fault to connections whose login gives this application name. Empty: all
	// connections.
	App string
}

// Fault causes a fault at a partner of an embedded pair: a, b, principal or mirror. The last two name
// the partner that has the role at that moment. Fault returns when the fault is in force.
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
