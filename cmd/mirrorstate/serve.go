package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// embeddedFlags are the flags of the embedded pair.
type embeddedFlags struct{ server.Embedded }

func (f *embeddedFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Dir, "data", "", "`DIR` of the embedded pair's data, and of the accepted principal of a configured pair (default: mirrorstate in the user's state directory)")
	cmd.Flags().StringVar(&f.AddrA, "partner-a", "127.0.0.1:14331", "TDS `ADDR` of embedded partner a; port 0 picks a free port")
	cmd.Flags().StringVar(&f.AddrB, "partner-b", "127.0.0.1:14332", "TDS `ADDR` of embedded partner b; port 0 picks a free port")
	cmd.Flags().BoolVar(&f.Expose, "expose-partners", false, "allow other machines to connect to the embedded partners: anybody with the password is sysadmin there")
	cmd.Flags().StringVar(&f.Witness, "witness", "on", "`on|off`: with a witness the embedded pair fails over automatically")
	cmd.Flags().DurationVar(&f.PartnerTimeout, "partner-timeout", 5*time.Second, "how long an embedded partner may be silent before it counts as lost; at least 5s")
}

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

// exampleAlias returns the configured application that the example commands use.
func exampleAlias(apps map[string]config.App) string {
	if _, ok := apps["default"]; ok {
		return "default"
	}
	return slices.Min(slices.Collect(maps.Keys(apps)))
}

// printStart prints the addresses of the server, and commands to try.
func printStart(out io.Writer, s *server.Server, alias string) {
	key := "" // curl's flag with the key
	if s.Keyed() {
		key = ` -H "Authorization: Bearer $` + credential.Variable + `"`
	}
	fmt.Fprintf(out, "mirrorstate %s\n\n", buildVersion())
	fmt.Fprintf(out, "  session API   %s\n", s.APIURL())
	fmt.Fprintf(out, "  operators     %s\n", s.AdminURL())
	if servers := s.Servers(); servers != nil {
		printPartners(out, servers)
	}
	base := s.APIURL() + "/v1/apps/" + alias + "/sessions"
	fmt.Fprintf(out, "\nTry:\n")
	fmt.Fprintf(out, "  curl -i%s --data-binary hello %s\n", key, base)
	fmt.Fprintf(out, "  curl -s%s %s/v1/pair\n", key, s.AdminURL())
	fmt.Fprintf(out, "  curl -s%s -H 'Content-Type: application/json' -d '{\"kind\":\"manual\"}' %s/v1/pair/failover\n\n", key, s.AdminURL())
}

// printPartners prints both connection strings; the password only at the start that has made it.
func printPartners(out io.Writer, servers *embedded.Pair) {
	fmt.Fprintln(out)
	for _, name := range []string{"a", "b"} {
		fmt.Fprintf(out, "  partner %s     %s\n", name, printableConnectionString(servers, name))
	}
	if !servers.FreshPassword() {
		fmt.Fprintf(out, "  password      in %s, unless MIRRORSTATE_EMBEDDED_PASSWORD gives it\n", servers.PasswordFile())
	}
}
