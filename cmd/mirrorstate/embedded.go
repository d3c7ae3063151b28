package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/textfile"
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

func newEmbedded(s *settings) *cobra.Command {
	var (
		flags  embeddedFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "embedded",
		Short: "Run only the embedded pair, for other programs' tests",
		Long: "Runs two servers that speak SQL Server's protocol: a mirrored pair on loopback, with the database ASPState.\n" +
			"Prints the connection string of each. With --empty the servers have no databases and are not mirrored\nyet: try install and pair setup on them.",
		Example: "  mirrorstate embedded --data /tmp/pair --partner-a 127.0.0.1:0 --partner-b 127.0.0.1:0",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer server.ReduceGC()()
			servers, err := flags.Open(server.NewLogger(cmd.ErrOrStderr(), s.verbose))
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				err = json.NewEncoder(out).Encode(map[string]string{
					"a": printableConnectionString(servers, "a"), "b": printableConnectionString(servers, "b"), "principal": servers.Principal(),
				})
			} else {
				fmt.Fprintf(out, "mirrorstate %s, %s\n", buildVersion(), pairTitle(servers))
				printPartners(out, servers)
			}
			if err != nil {
				servers.Close()
				return err
			}
			return servers.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the connection strings as JSON")
	cmd.Flags().BoolVar(&flags.Empty, "empty", false, "start two servers without databases, not mirrored yet; the data folder must be new, or created with --empty")
	flags.add(cmd)
	return cmd
}

// pairTitle says whether the two servers are a pair, and which one is the principal.
func pairTitle(servers *embedded.Pair) string {
	if principal := servers.Principal(); principal != "" {
		return "embedded pair, principal " + principal
	}
	return "two embedded servers, no pair"
}

// printableConnectionString returns a partner's connection string as it may be printed. It contains the password only
// if this start has made it. A configured password is never printed.
func printableConnectionString(servers *embedded.Pair, name string) string {
	password := "…"
	if servers.FreshPassword() && textfile.Variable(os.Getenv("MIRRORSTATE_EMBEDDED_PASSWORD")) == "" {
		password = servers.Password()
	}
	host, port, _ := net.SplitHostPort(servers.Partner(name).Addr())
	text := fmt.Sprintf("server=%s,%s;user id=%s;password=%s;", host, port, servers.User(), password)
	if servers.Principal() != "" {
		text += "database=ASPState;"
	}
	return text + "encrypt=false;trustservercertificate=true"
}
