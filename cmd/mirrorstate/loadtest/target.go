package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// checkTime bounds the check of a target.
const checkTime = 10 * time.Second

// checkTarget checks that a target is a session API. It asks for a session with a new id. The
// answer must be that there is no such session, in the form of the API.
func checkTarget(ctx context.Context, c *client.Client, target string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	app := session.Application{Name: appName(measure.ViaHTTP)}.WithDefaults()
	_, err := c.Get(ctx, session.Ref{App: &app, ID: session.NewID()}, session.GetOptions{Peek: true})
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case ok && (e.Name == "session-not-found" || e.Name == "no-principal" || e.Name == "overloaded"):
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("--target %s: connection refused; start mirrorstate serve there, or use another address", target)
	case ok && (e.Name == "unauthorized" || e.Name == "forbidden"):
		return usage("--target %s refused the request: %s; make a key with mirrorstate key new load --app '*' --operator --config FILE --out load.key, and set --key-file", target, e.Detail)
	case ok && e.Name == "unknown-application":
		return usage("--target %s: unknown application %s; add loadtest: {name: %[2]s} to apps in its configuration and send it SIGHUP, or set apps_open: true", target, app.Name)
	case ok && e.Status == 0:
		return fmt.Errorf("--target %s did not answer: %v", target, err)
	}
	return usage("--target %s is not a mirrorstate: it answers %s to a request for a session that does not exist; set the URL of a session API", target, describeAnswer(err))
}

// appName returns the name of the application whose sessions a via uses.
func appName(via string) string { return "/loadtest/" + via }

// describeAnswer describes an answer that does not come from mirrorstate.
func describeAnswer(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	}
	if err == nil {
		return "200 OK"
	}
	return err.Error()
}
