package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// Embedded holds the settings of the embedded pair. The password is read from MIRRORSTATE_EMBEDDED_PASSWORD, and made if that
// is not set.
type Embedded struct {
	Dir            string        // folder of its data, and of the accepted principal of any pair; empty: mirrorstate in the user's state directory
	AddrA, AddrB   string        // TDS addresses; port 0 picks a free port, and so does an empty address, on loopback
	Witness        string        // on or off; empty: on
	PartnerTimeout time.Duration // how long a partner may be silent before it counts as lost; at least 5s; 0: 5s
	Expose         bool          // other machines may connect to the partners
	Empty          bool          // two servers without databases, not mirrored yet; mirrorstate serve does not use it
}

// minPartnerTimeout is SQL Server's minimum.
const minPartnerTimeout = 5 * time.Second

// complete returns the settings with a default for each that is zero, or an error for one that is not allowed.
func (f Embedded) complete() (Embedded, error) {
	f.AddrA = cmp.Or(f.AddrA, "127.0.0.1:0")
	f.AddrB = cmp.Or(f.AddrB, "127.0.0.1:0")
	f.Witness = cmp.Or(f.Witness, "on")
	f.PartnerTimeout = cmp.Or(f.PartnerTimeout, minPartnerTimeout)
	switch {
	case f.Witness != "on" && f.Witness != "off":
		return f, usage.Errorf("--witness must be on or off, not %q", f.Witness)
	case f.PartnerTimeout < minPartnerTimeout:
		return f, usage.Errorf("--partner-timeout %v is below SQL Server's minimum of %v", f.PartnerTimeout, minPartnerTimeout)
	}
	return f, nil
}

// Open opens the embedded pair.
func (f Embedded) Open(logger *slog.Logger) (*embedded.Pair, error) {
	f, err := f.complete()
	if err != nil {
		return nil, err
	}
	dir, err := dataDir(f.Dir, "mirrorstate")
	if err != nil {
		return nil, err
	}
	o := embedded.Options{
		Dir: dir, AddrA: f.AddrA, AddrB: f.AddrB, PartnerTimeout: f.PartnerTimeout, Witness: f.Witness == "on", Empty: f.Empty, Expose: f.Expose,
		Password: textfile.Variable(os.Getenv("MIRRORSTATE_EMBEDDED_PASSWORD")), Logger: logger,
	}
	if !f.Empty {
		o.Schema = schema.Script()
	}
	servers, err := embedded.Open(o)
	if err != nil {
		return nil, err
	}
	for _, e := range servers.Exposed() {
		logger.Warn("the embedded pair's data is exposed", "note", e.Error())
	}
	return servers, nil
}

// dataDir returns dir, or, if it is empty, the folder of that name in the user's state directory
// (XDG_STATE_HOME, else ~/.local/state).
func dataDir(dir, name string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the default data folder: %w; name a folder with --data", err)
	}
	return filepath.Join(home, ".local", "state", name), nil
}

// memoryDir creates and returns the folder that keeps the accepted principal of a configured pair. It is the folder of
// --data, or one of its own in the user's state directory: the embedded pair's folder must hold nothing else. If the
// default folder can't be created, memoryDir logs a warning and returns "": the accepted principal is not kept then.
func (f Embedded) memoryDir(logger *slog.Logger) (string, error) {
	dir, err := dataDir(f.Dir, "mirrorstate-memory")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	switch {
	case err == nil:
		return dir, nil
	case f.Dir == "":
		logger.Warn("the accepted principal will be forgotten at a restart; name a folder with --data", "error", err)
		return "", nil
	}
	return "", fmt.Errorf("create the data folder: %w; name another one with --data", err)
}

// openServers opens the embedded pair if no pair is configured. It returns the folder that keeps the accepted
// principal.
func openServers(cfg config.Config, f Embedded, logger *slog.Logger) (servers *embedded.Pair, dir string, err error) {
	if _, configured := cfg.Partners(); configured {
		dir, err = f.memoryDir(logger)
		return nil, dir, err
	}
	if dir, err = dataDir(f.Dir, "mirrorstate"); err != nil {
		return nil, "", err
	}
	servers, err = f.Open(logger)
	return servers, dir, err
}
