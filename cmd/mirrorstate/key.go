package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
)

// keyCommand holds what all key commands share.
type keyCommand struct {
	settings *settings
	file     string
}

func newKey(s *settings) *cobra.Command {
	c := &keyCommand{settings: s}
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Create, list and revoke the keys of callers",
		Long: "Manages the file with the keys that a server accepts (auth.keys_file). A running server notices changes within two\n" +
			"seconds. The file holds hashes: a key is shown once, when it is created. A key is limited to applications and rights:\n" +
			"read, write, lock, remove and list their sessions; observe the pair, or operate it, on the operators' listener.",
		Example: "  mirrorstate key new shop --app shop --expires 90d --out shop.key --config mirrorstate.yaml\n  mirrorstate key list --config mirrorstate.yaml\n  mirrorstate key revoke k7q2m9xa --config mirrorstate.yaml",
		Args:    exactly(0, "new, list or revoke"),
		RunE: func(*cobra.Command, []string) error {
			return usage.Errorf("key requires a command: new, list or revoke; see key --help")
		},
	}
	cmd.PersistentFlags().StringVar(&c.file, "keys-file", "", "the `FILE` of keys (default: auth.keys_file of the configuration)")
	cmd.AddCommand(c.new(), c.list(), c.revoke())
	return cmd
}

// path returns the file of keys, and the configuration.
func (c *keyCommand) path() (string, config.Config, error) {
	var flags []config.Setting
	if c.file != "" {
		flags = append(flags, config.Flag("--keys-file", "auth.keys_file", c.file))
	}
	cfg, err := c.settings.load(flags...)
	if err != nil {
		return "", cfg, err
	}
	if cfg.Auth.KeysFile == "" {
		return "", cfg, usage.Errorf("no file of keys is configured: pass --keys-file, or set auth.keys_file in the configuration")
	}
	return cfg.Auth.KeysFile, cfg, nil
}
