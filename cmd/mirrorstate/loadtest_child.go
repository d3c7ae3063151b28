package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/session"
)

// childCommand makes this program one of the load test's processes.
const childCommand = "child"

func newLoadtestChild() *cobra.Command {
	return &cobra.Command{
		Use:    childCommand,
		Short:  "One of the load test's own processes",
		Hidden: true,
		Args:   exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			roles := loadtest.Roles{
				Serve: map[string]func(context.Context, loadtest.Spec, func(loadtest.Ready)) error{"pair": servePair, "http": serveProxy},
				Store: map[string]func(context.Context, loadtest.Spec) (session.Store, func(), error){"direct": openDirectStore},
			}
			// A parent that is gone takes no complaints: what is begun is ended nevertheless.
			signal.Ignore(syscall.SIGPIPE)
			return asMisuse(loadtest.RunChild(cmd.Context(), os.Stdin, cmd.OutOrStdout(), roles))
		},
	}
}

// childLogger is a child's; its parent shows it if it was told to be verbose, and keeps the last line.
func childLogger(spec loadtest.Spec) *slog.Logger { return server.NewLogger(os.Stderr, spec.Verbose) }

// inTemporaryFolder runs f with a folder of its own, which is gone afterwards. The child
// itself removes it, because its parent may be killed.
func inTemporaryFolder(f func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "mirrorstate-loadtest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(dir)
}

// childConfig is what the server under load is configured with: what every server here would
// be, but on the load test's pair and on ports of its own choice.
func childConfig(spec loadtest.Spec) (config.Config, error) {
	return config.Load(spec.Config, os.LookupEnv,
		config.Flag("--connection-string", "pair.connection_string", spec.Connection),
		config.Flag("--api", "api.listen", "127.0.0.1:0"), config.Flag("--admin", "admin.listen", "127.0.0.1:0"),
		// Who is let in on loopback for a minute is the load test, which needs no key.
		config.Flag("", "auth.keys_file", ""), config.Flag("", "api.tls.certificate_file", ""), config.Flag("", "api.tls.key_file", ""), config.Flag("", "api.tls.client_ca_file", ""),
		config.Flag("", "admin.tls.certificate_file", ""), config.Flag("", "admin.tls.key_file", ""), config.Flag("", "admin.tls.client_ca_file", ""))
}

// serveProxy is mirrorstate serve on the load test's pair.
func serveProxy(ctx context.Context, spec loadtest.Spec, announce func(loadtest.Ready)) error {
	cfg, err := childConfig(spec)
	if err != nil {
		return err
	}
	return inTemporaryFolder(func(dir string) error {
		defer collectLess()()
		s, err := server.New(ctx, cfg, server.Options{Embedded: server.Embedded{Dir: dir}, Logs: server.Logs{Logger: childLogger(spec), Level: new(slog.LevelVar)}, Version: buildVersion()})
		if err != nil {
			return err
		}
		announce(loadtest.Ready{API: s.APIURL(), Admin: s.AdminURL()})
		return s.Run(ctx)
	})
}

// openDirectStore is the store without HTTP around it.
func openDirectStore(ctx context.Context, spec loadtest.Spec) (session.Store, func(), error) {
	cfg, err := childConfig(spec)
	if err != nil {
		return nil, nil, err
	}
	st, err := server.NewStack(cfg, nil, "", nil, childLogger(spec))
	if err != nil {
		return nil, nil, err
	}
	st.Start()
	if err := operator.Look(ctx, st.Pair); err != nil {
		st.Close()
		return nil, nil, err
	}
	return st.Store, st.Close, nil
}

// servePair runs the two servers, and an operators' listener that does to them what is asked for.
func servePair(ctx context.Context, spec loadtest.Spec, announce func(loadtest.Ready)) error {
	return inTemporaryFolder(func(dir string) error {
		flags := server.Embedded{Dir: dir, AddrA: "127.0.0.1:0", AddrB: "127.0.0.1:0", Witness: "off", PartnerTimeout: defaultPartnerTimeout}
		if spec.Witness {
			flags.Witness = "on"
		}
		servers, err := flags.Open(childLogger(spec))
		if err != nil {
			return err
		}
		admin, err := newBarePair(servers)
		if err != nil {
			return errors.Join(err, servers.Close())
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(fmt.Errorf("listen: %w", err), servers.Close())
		}
		announce(loadtest.Ready{Admin: "http://" + ln.Addr().String(), Connection: pairConnection(servers)})
		return runPair(ctx, servers, ln, admin)
	})
}

// headerTime bounds the head of a request to the operators' listener.
const headerTime = 10 * time.Second

// runPair serves until ctx ends.
func runPair(ctx context.Context, servers interface{ Run(context.Context) error }, ln net.Listener, admin http.Handler) error {
	server := &http.Server{Handler: admin, ReadHeaderTimeout: headerTime}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	err := servers.Run(ctx)
	_ = server.Close()
	if serving := <-served; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}
