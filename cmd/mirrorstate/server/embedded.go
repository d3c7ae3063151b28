package server

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// Embedded says where the embedded pair is, and what it is like.
type Embedded struct {
	Dir            string        // of its data, and of what is remembered of any pair; empty: mirrorstate in the user's state directory
	AddrA, AddrB   string        // TDS addresses; port 0 picks one
	Witness        string        // on or off
	PartnerTimeout time.Duration // after what silence a partner counts as gone; at least 5s
	Expose         bool          // other machines may reach the partners
	Empty          bool          // two servers without databases, which are no pair yet; not for a server
}

// Open opens the embedded pair.
func (f *Embedded) Open(logger *slog.Logger) (*embedded.Pair, error) {
	switch {
	case f.Witness != "on" && f.Witness != "off":
		return nil, misuse.Errorf("--witness %q is neither on nor off", f.Witness)
	case f.PartnerTimeout < 5*time.Second:
		return nil, misuse.Errorf("--partner-timeout %v is below SQL Server's minimum of 5s", f.PartnerTimeout)
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

// dataDir is the folder given, or the one of that name in the user's state directory
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
		return "", fmt.Errorf("no data folder: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "state", name), nil
}

// memoryDir is where the accepted principal of a configured pair is remembered: the
// data folder, or one of its own in the user's state directory, because the
// embedded pair's must hold nothing else. A folder that nobody asked for and that can't
// be had is not needed: then nothing is remembered.
func (f *Embedded) memoryDir(logger *slog.Logger) (string, error) {
	dir, err := dataDir(f.Dir, "mirrorstate-memory")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	switch {
	case err == nil:
		return dir, nil
	case f.Dir == "":
		logger.Warn("the accepted principal is not remembered over a restart; name a folder with --data", "error", err)
		return "", nil
	}
	return "", fmt.Errorf("make the data folder: %w; choose another one with --data", err)
}

// openServers opens the embedded pair if no other is configured, and gives the folder
// in which the accepted principal is remembered.
func openServers(cfg config.Config, flags *Embedded, logger *slog.Logger) (servers *embedded.Pair, dir string, err error) {
	if _, configured := cfg.Partners(); configured {
		dir, err = flags.memoryDir(logger)
		return nil, dir, err
	}
	if dir, err = dataDir(flags.Dir, "mirrorstate"); err != nil {
		return nil, "", err
	}
	servers, err = flags.Open(logger)
	return servers, dir, err
}
