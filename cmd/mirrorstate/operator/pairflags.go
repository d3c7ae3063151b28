package operator

import (
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/config"
)

// PairFlags say which pair is meant, over what the configuration says.
type PairFlags struct {
	ConnectionString, WebConfig, Location string
}

// PasswordHint says where a password is given: everybody on the machine can read a command line.
const PasswordHint = "; without the password, which everybody could read here: put it into MIRRORSTATE_PAIR_PASSWORD, or its file into MIRRORSTATE_PAIR_PASSWORD_FILE"

// Add adds the flags; what they are good for stands before the rest.
func (f *PairFlags) Add(flags credential.FlagSet, what string) {
	flags.StringVar(&f.ConnectionString, "connection-string", "", what+": an ADO.NET string `S` with data source and failover partner"+PasswordHint)
	flags.StringVar(&f.WebConfig, "web-config", "", what+" of a .NET application: the `FILE` with its <sessionState>")
	flags.StringVar(&f.Location, "location", "", "the `PATH` of the <location> that is meant, where that file has several")
}

// Direct says whether one was given.
func (f *PairFlags) Direct() bool { return f.ConnectionString != "" || f.WebConfig != "" }

// Said is what the flags say, for the configuration.
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
