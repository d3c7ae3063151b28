package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

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
