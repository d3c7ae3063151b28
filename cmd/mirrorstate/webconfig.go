package main

import (
	"crypto/rand"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/webconfig"
)

func newWebConfig(s *settings) *cobra.Command {
	var (
		pair   operator.PairFlags
		wanted webconfig.Options
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "webconfig",
		Short: "Print the <sessionState> and <machineKey> elements for a .NET application",
		Long: "Prints the elements for <system.web> in the web.config of a .NET Framework application that shares the sessions.\n" +
			"With --mode sqlserver the application connects to the two SQL Servers itself. With --mode stateserver it connects\n" +
			"to mirrorstate, whose State Server listener is NOT BUILT YET: nothing answers there so far.\n" +
			"The pair comes from the flags or the configuration. The <machineKey> is new each time: use the same one on every web server.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=web.password mirrorstate webconfig --connection-string \"data source=SQL1;failover partner=SQL2;user id=web\" --show-password\n" +
			"  mirrorstate webconfig --mode stateserver --state-server state.example.net",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(pair.Settings()...)
			if err != nil {
				return err
			}
			el, err := wanted.Elements(cfg, rand.Reader)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(el)
			}
			return el.Write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&wanted.Mode, "mode", "sqlserver", "`sqlserver|stateserver`: where the application keeps its sessions (the State Server listener is not built yet)")
	cmd.Flags().StringVar(&wanted.StateServer, "state-server", "", "`HOST[:PORT]` by which the web servers reach mirrorstate, for --mode stateserver (default: this machine's name, port 42424)")
	cmd.Flags().StringVar(&wanted.App, "app", "default", "`ALIAS` of the application whose timeout is used")
	cmd.Flags().BoolVar(&wanted.Compression, "compression", false, "make the application compress its items")
	cmd.Flags().BoolVar(&wanted.ShowPassword, "show-password", false, "print the password instead of a mask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	pair.Add(cmd.Flags(), "the pair")
	return cmd
}
