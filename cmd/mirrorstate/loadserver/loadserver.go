// Package loadserver provides what a load test without a target loads: an embedded pair, the server that mirrorstate
// serve runs on it, or the store alone.
package loadserver

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/session"
)

// childLogger returns the logger of a child process. The parent shows the log if it is verbose, and keeps the last
// line.
func childLogger(spec loadtest.Spec) *slog.Logger { return server.NewLogger(os.Stderr, spec.Verbose) }

// inTemporaryFolder runs f with a new folder, and removes the folder afterwards. The child process removes it itself,
// because its parent may be killed.
func inTemporaryFolder(f func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "mirrorstate-loadtest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(dir)
}

// childConfig returns the configuration of the server under load: the one of this machine, but with the load test's
// pair and with free ports.
func childConfig(spec loadtest.Spec) (config.Config, error) {
	return config.Load(spec.Config, os.LookupEnv,
		config.Flag("--connection-string", "pair.connection_string", spec.Connection),
		config.Flag("--api", "api.listen", "127.0.0.1:0"), config.Flag("--admin", "admin.listen", "127.0.0.1:0"),
		// The load test is the only caller, on loopback, and has no key.
		config.Flag("", "auth.keys_file", ""), config.Flag("", "api.tls.certificate_file", ""), config.Flag("", "api.tls.key_file", ""), config.Flag("", "api.tls.client_ca_file", ""),
		config.Flag("", "admin.tls.certificate_file", ""), config.Flag("", "admin.tls.key_file", ""), config.Flag("", "admin.tls.client_ca_file", ""))
}

// Roles returns what a child process of the load test can run.
func Roles(version string) loadtest.Roles {
	return loadtest.Roles{
		Serve: map[string]func(context.Context, loadtest.Spec, func(loadtest.Ready)) error{
			"pair": servePair,
			"http": func(ctx context.Context, spec loadtest.Spec, announce func(loadtest.Ready)) error {
				return serveProxy(ctx, spec, version, announce)
			},
		},
		Store: map[string]func(context.Context, loadtest.Spec) (session.Store, func(), error){"direct": openDirectStore},
	}
}

// serveProxy runs the server of mirrorstate serve on the load test's pair.
func serveProxy(ctx context.Context, spec loadtest.Spec, version string, announce func(loadtest.Ready)) error {
	cfg, err := childConfig(spec)
	if err != nil {
		return err
	}
	return inTemporaryFolder(func(dir string) error {
		defer server.ReduceGC()()
		s, err := server.New(ctx, cfg, server.Options{Embedded: server.Embedded{Dir: dir}, Logs: server.Logs{Logger: childLogger(spec), Level: new(slog.LevelVar)}, Version: version})
		if err != nil {
			return err
		}
		announce(loadtest.Ready{API: s.APIURL(), Admin: s.AdminURL()})
		return s.Run(ctx)
	})
}

// openDirectStore opens the store without the HTTP server.
func openDirectStore(ctx context.Context, spec loadtest.Spec) (session.Store, func(), error) {
	cfg, err := childConfig(spec)
	if err != nil {
		return nil, nil, err
	}
	st, err := server.NewStorage(cfg, nil, "", nil, childLogger(spec))
	if err != nil {
		return nil, nil, err
	}
	st.Start()
	if err := operator.AwaitPrincipal(ctx, st.Pair); err != nil {
		st.Close()
		return nil, nil, err
	}
	return st.Store, st.Close, nil
}
