package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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

func (c *Client) operate(ctx context.Context, verb, body string) (json.RawMessage, error) {
	q := request{method: http.MethodPost, path: "/v1/pair/" + verb, body: []byte(body)}
	q.header("Content-Type", "application/json")
	a, err := c.sendOnce(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	return a.body, nil
}
