package proxy

import (
	"context"
	"net/http"
)

// Tracer traces calls of the session API. Any number of goroutines may call it.
type Tracer interface {
	// Begin is called for a request to a route, such as /v1/apps/{app}/sessions/{id}, before anything of the request
	// is decoded. The context that it returns is passed to the store. end is called once.
	Begin(r *http.Request, route string) (ctx context.Context, end func(CallEnd))
}

// CallEnd describes the end of a call.
type CallEnd struct {
	Outcome     string // ok, client-left, or the problem's name
	Status      int    // as answered; 0: the client left before its answer
	Application string // its name if it is configured; other names are the client's choice and left out
	Session     string // the id's short hash; empty: the call has none
	Fault       error  // the error, if it is a fault of the server or the pair; otherwise nil
}

// statusLeft is the status in the log of a client that left; it is never sent.
const statusLeft = 499

// traced is like run, and reports the call to the tracer.
func (c *call) traced(g *gate, do verb, t traits, route string) error {
	ctx, end := c.api.tracer.Begin(c.r, route)
	c.r = c.r.WithContext(ctx)
	rec := &statusRecorder{ResponseWriter: c.w, status: http.StatusOK}
	c.w = rec
	err := c.run(g, do, t)
	e := CallEnd{Outcome: outcomeOK, Status: rec.status, Session: c.ref.ID.ShortHash()}
	if c.ref.App != nil && c.api.apps.Load().configured(c.ref.App.Name) {
		e.Application = c.ref.App.Name
	}
	switch {
	case err != nil && c.r.Context().Err() != nil:
		e.Outcome, e.Status = outcomeLeft, 0
	case err != nil:
		k := describe(err, t.mutates).kind
		e.Outcome, e.Status = k.name(), problems[k].status
		if e.Status >= http.StatusInternalServerError {
			e.Fault = err
		}
	}
	end(e)
	return err
}
