package operator

import (
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/config"
)

// PairFlags are the flags that name a pair. They override the configuration.
type PairFlags struct {
	ConnectionString, WebConfig, Location string
}

// PasswordHint ends the help of --connection-string. It says where to put the password.
const PasswordHint = "; without the password: any local user can read a command line. Put the password into MIRRORSTATE_PAIR_PASSWORD, or its file's name into MIRRORSTATE_PAIR_PASSWORD_FILE"

// Add adds the flags. what begins their help: it names the pair's purpose.
func (f *PairFlags) Add(flags credential.FlagSet, what string) {
	flags.StringVar(&f.ConnectionString, "connection-string", "", what+": an ADO.NET string `S` with data source and failover partner"+PasswordHint)
	flags.StringVar(&f.WebConfig, "web-config", "", what+" of a .NET application: the `FILE` with its <sessionState>")
	flags.StringVar(&f.Location, "location", "", "the `PATH` of the <location> to use, if that file has several")
}

// Direct reports whether a flag names a pair.
func (f *PairFlags) Direct() bool { return f.ConnectionString != "" || f.WebConfig != "" }

// Words returns the flags as an operator types them, with --config for a configuration file. It leaves the value of
// --connection-string out.
func (f *PairFlags) Words(configFile string) string {
	var words []string
	if configFile != "" {
		words = append(words, "--config "+configFile)
	}
	if f.WebConfig != "" {
		words = append(words, "--web-config "+f.WebConfig)
	}
	if f.Location != "" {
		words = append(words, "--location "+f.Location)
	}
	if f.ConnectionString != "" {
		words = append(words, `--connection-string "…"`)
	}
	return strings.Join(words, " ")
}

// Settings returns the flags as settings of the configuration.
func (f *PairFlags) Settings() (settings []config.Setting) {
	for _, flag := range []config.Setting{
		config.Flag("--connection-string", "pair.connection_string", f.ConnectionString), config.Flag("--web-config", "pair.web_config", f.WebConfig),
		config.Flag("--location", "pair.web_config_location", f.Location),
	} {
		if flag.Values[0] != "" {
			settings = append(settings, flag)
		}
	}
	return settings
}
