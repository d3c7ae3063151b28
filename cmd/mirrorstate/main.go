// Older SQL Servers make certificates with negative serial numbers, which Go refuses by default. go.mod has the same
// setting for the tests; this line is for go install …@version, which does not use the settings of go.mod.
//
//go:debug x509negativeserial=1

// Command mirrorstate keeps shared web session state on a pair of SQL Servers.
// During a failover its callers wait; they get no error. See the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 2
)

func main() { os.Exit(runWithSignals()) }

// runWithSignals runs the program until it is done or a signal arrives. After the first signal the program finishes the
// work under way; the second signal is not caught and ends the process.
func runWithSignals() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals // this goroutine ends with the process
		signal.Stop(signals)
		cancel(server.StoppedBy{Signal: s})
	}()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// run parses args, carries out the command, and returns the exit code. It writes results to stdout, and an error in one
// line to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root) // which takes the output along
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "mirrorstate: "+strings.Join(strings.Fields(err.Error()), " ")+hint(err))
	if usage.Is(err) || unknownCommand(err) {
		return exitMisuse
	}
	return exitFailed
}

// unknownCommand reports whether err is about a command that does not exist. The error has no type of its own.
// Source: cobra's args.go.
func unknownCommand(err error) bool { return strings.HasPrefix(err.Error(), "unknown command") }

// hint returns the advice for an error from a package that does not know the flags of this program.
func hint(err error) string {
	answer, _ := errors.AsType[*client.Error](err)
	switch {
	case unknownCommand(err):
		return "; see mirrorstate --help"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; is mirrorstate serve running there? pass the URL of its operators' listener with --admin"
	case answer == nil:
		return ""
	case answer.Status == http.StatusUnauthorized:
		return "; name a key's file with --key-file, or put the key into " + credential.Variable
	case answer.Status == http.StatusNotFound && answer.Name == "":
		return operator.AdminHint
	}
	return ""
}
