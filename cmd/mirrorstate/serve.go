package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
)

func newServe(s *settings) *cobra.Command {
	var (
		api, admin string
		insecure   bool
		pair       operator.PairFlags
		flags      embeddedFlags
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the session-state server",
		Long: "Runs the server: the session API and the operators' listener.\n" +
			"If neither the configuration nor a flag names a pair, it starts an embedded pair with a witness: if the\n" +
			"principal is lost, the mirror becomes principal automatically. With --witness off only an operator, or\n" +
			"pair.watchdog of the configuration, forces service on the mirror.",
		Example: "  mirrorstate serve\n  mirrorstate serve --witness off\n  mirrorstate serve --config /etc/mirrorstate/mirrorstate.yaml --api 0.0.0.0:8080\n" +
			"  mirrorstate serve --web-config /srv/shop/web.config",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			said := pair.Settings()
			if api != "" {
				said = append(said, config.Flag("--api", "api.listen", api))
			}
			if admin != "" {
				said = append(said, config.Flag("--admin", "admin.listen", admin))
			}
			if s.verbose {
				said = append(said, config.Flag("--verbose", "log.level", "debug"))
			}
			if insecure {
				said = append(said, config.Flag("--insecure", "auth.insecure", "true"))
			}
			load := func() (config.Config, error) { return s.load(said...) }
			cfg, err := load()
			if err != nil {
				return err
			}
			return serve(cmd, cfg, server.Options{Embedded: flags.Embedded, Load: load, Logs: server.NewLogs(cmd.ErrOrStderr(), cfg.Log), Version: buildVersion()})
		},
	}
	cmd.Flags().StringVar(&api, "api", "", "`ADDR` of the session API (default 127.0.0.1:8080)")
	cmd.Flags().StringVar(&admin, "admin", "", "`ADDR` of the operators' listener (default 127.0.0.1:8081)")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "allow listeners without authentication that other machines can reach")
	pair.Add(cmd.Flags(), "the pair")
	flags.add(cmd)
	return cmd
}

// serve runs the server until the command's context ends. At SIGHUP the server reads its configuration again.
func serve(cmd *cobra.Command, cfg config.Config, o server.Options) error {
	defer server.ReduceGC()()
	reload := make(chan os.Signal, 1)
	o.Reload = reload
	s, err := server.New(cmd.Context(), cfg, o)
	if err != nil {
		return err
	}
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	printStart(cmd.OutOrStdout(), s, exampleAlias(cfg.Apps))
	return s.Run(cmd.Context())
}
