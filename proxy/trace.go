package proxy

import (
	"context"
	"net/http"
)

// Tracer follows calls of the session API. Any number of goroutines may call it.
type Tracer interface {
	// Begin is told of a request to a route, such as /v1/apps/{app}/sessions/{id}, before anything
	// of it was decoded. The context it gives goes down to the store. end is called once.
	Begin(r *http.Request, route string) (ctx context.Context, end func(CallEnd))
}

// CallEnd is what became of a call.
type CallEnd struct {
	Outcome     string // ok, client-left, or the problem's name
	Status      int    // as answered; 0: nobody was there to be answered
	Application string // its name, if it is a configured one; any other is the client's word
	Session     string // the id's short hash; empty: there was none
	Fault       error  // why it is our fault or the pair's; nil: it is not
}

// statusLeft is what the log tells of a client that left; it is never sent.
const statusLeft = 499

// traced is run, with the tracer told.
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

// noted tells the line in the log, if there will be one, which session it is about.
func (c *call) noted(w http.ResponseWriter) {
	if rec, ok := w.(*statusRecorder); ok {
		rec.session = c.ref.ID
	}
}
