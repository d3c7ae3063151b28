// Command go makes, locks, stores and reads a session at the server whose URL it is given, with the
// client that oapi-codegen makes of the contract.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/testdata/clients/go/client"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("as stored")
}

func run(ctx context.Context, url string) error {
	c, err := client.NewClientWithResponses(url)
	if err != nil {
		return err
	}
	const app, binary = "default", "application/octet-stream"
	made, err := c.CreateWithBodyWithResponse(ctx, app, &client.CreateParams{}, binary, strings.NewReader("one"))
	if err != nil {
		return err
	}
	if made.JSON201 == nil {
		return fmt.Errorf("create: %s: %s", made.Status(), made.Body)
	}
	id, wait := made.JSON201.Id, client.Wait("1s")
	locked, err := c.AcquireWithResponse(ctx, app, id, &client.AcquireParams{Wait: &wait})
	if err != nil {
		return err
	}
	lock := locked.HTTPResponse.Header.Get("Session-Lock")
	refused, err := c.GetWithResponse(ctx, app, id, &client.GetParams{})
	if err != nil {
		return err
	}
	if p := refused.ApplicationproblemJSON423; p == nil || p.LockAge == nil || p.Outcome != client.NotApplied {
		return fmt.Errorf("read beside the lock: %s: %s", refused.Status(), refused.Body)
	}
	stored, err := c.PutWithBodyWithResponse(ctx, app, id, &client.PutParams{SessionLock: &lock}, binary, strings.NewReader("two"))
	if err != nil {
		return err
	}
	if stored.StatusCode() != http.StatusNoContent {
		return fmt.Errorf("store: %s: %s", stored.Status(), stored.Body)
	}
	read, err := c.GetWithResponse(ctx, app, id, &client.GetParams{})
	if err != nil {
		return err
	}
	if read.StatusCode() != http.StatusOK || string(read.Body) != "two" {
		return fmt.Errorf("read: %s: %q, want two", read.Status(), read.Body)
	}
	return nil
}
