package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// target is what an operator's command speaks to: a running server's operators'
// listener, or with a connection string the pair itself.
type target struct {
	admin            string
	connectionString string
}

// adminTimeout bounds one request to the operators' listener; a failover answers when it is done.
const adminTimeout = 90 * time.Second

func (t *target) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.admin, "admin", "http://127.0.0.1:8081", "operators' listener of a running server, a `URL`")
	cmd.PersistentFlags().StringVar(&t.connectionString, "connection-string", "", "reach the pair itself: an ADO.NET string `S` with data source and failover partner")
}

// operator gives who carries out verbs on the pair; done ends it.
func (t *target) operator(ctx context.Context, s *settings) (op operator, done func(), err error) {
	if t.connectionString != "" {
		st, err := openDirect(ctx, s, t.connectionString)
		if err != nil {
			return nil, nil, err
		}
		return directPair{st}, st.close, nil
	}
	c, err := t.client()
	if err != nil {
		return nil, nil, err
	}
	return adminClient{c}, func() { c.Close() }, nil
}

// client speaks to the operators' listener.
func (t *target) client() (*client.Client, error) {
	c, err := client.New(client.Config{URL: t.admin})
	if err != nil {
		return nil, misuse("--admin: %w", err)
	}
	return c, nil
}

// sessions is a store that can list.
type sessions interface {
	session.Store
	session.Lister
}

// store gives the sessions; done ends it.
func (t *target) store(ctx context.Context, s *settings) (st sessions, done func(), err error) {
	if t.connectionString != "" {
		direct, err := openDirect(ctx, s, t.connectionString)
		if err != nil {
			return nil, nil, err
		}
		return direct.store, direct.close, nil
	}
	c, err := t.client()
	if err != nil {
		return nil, nil, err
	}
	return c, func() { c.Close() }, nil
}

// application is what --app says: an alias of the configuration, or a name. A
// running server knows its own aliases, so for one an alias stays as it is.
func (t *target) application(s *settings, app string) (*session.Application, error) {
	cfg, err := config.Load(s.configFile, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	name := app
	if known, ok := cfg.Apps[app]; ok && t.connectionString != "" {
		name = known.Name
	}
	if name, err = session.ParseApplicationName(name); err != nil {
		return nil, misuseError{err}
	}
	a := session.Application{Name: name}.WithDefaults()
	return &a, nil
}

// adminClient speaks to an operators' listener.
type adminClient struct{ *client.Client }

func (a adminClient) status(ctx context.Context) (pairStatus, error) {
	return pairOf(a.Pair(ctx))
}

func (a adminClient) do(ctx context.Context, v pairVerb) (pairStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	switch v.name {
	case "failover":
		return pairOf(a.Failover(ctx))
	case "force":
		return pairOf(a.ForceService(ctx, v.allowDataLoss))
	case "suspend":
		return pairOf(a.Suspend(ctx))
	case "accept":
		return pairOf(a.Accept(ctx, v.partner, v.reason))
	}
	return pairOf(a.Resume(ctx))
}

// pairOf reads the pair's state from the listener's answer.
func pairOf(text json.RawMessage, err error) (st pairStatus, _ error) {
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return st, fmt.Errorf("the answer is not mirrorstate's: %w", err)
	}
	return st, nil
}
