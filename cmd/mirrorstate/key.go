package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
)

// keyCommand is what the key commands have in common.
type keyCommand struct {
	settings *settings
	file     string
}

func newKey(s *settings) *cobra.Command {
	c := &keyCommand{settings: s}
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list and revoke the keys that servers let in",
		Long: "Keeps the file of keys that a server lets in (auth.keys_file). A server that runs notices changes within two\n" +
			"seconds. The file holds hashes: a key is shown once, when it is made. A key is limited to applications and rights:\n" +
			"read, write, lock, remove and list their sessions; observe the pair, or operate it, on the operators' listener.",
		Example: "  mirrorstate key new shop --app shop --expires 90d --out shop.key --config mirrorstate.yaml\n  mirrorstate key list --config mirrorstate.yaml\n  mirrorstate key revoke k7q2m9xa --config mirrorstate.yaml",
		Args:    exactly(0, "new, list or revoke"),
		RunE:    func(*cobra.Command, []string) error { return misuse.Errorf("key wants a verb; see key --help") },
	}
	cmd.PersistentFlags().StringVar(&c.file, "keys-file", "", "the `FILE` (default: auth.keys_file of the configuration)")
	cmd.AddCommand(c.new(), c.list(), c.revoke())
	return cmd
}

// path is the file, and the configuration around it.
func (c *keyCommand) path() (string, config.Config, error) {
	var said []config.Setting
	if c.file != "" {
		said = append(said, config.Flag("--keys-file", "auth.keys_file", c.file))
	}
	cfg, err := c.settings.load(said...)
	if err != nil {
		return "", cfg, err
	}
	if cfg.Auth.KeysFile == "" {
		return "", cfg, misuse.Errorf("no file of keys is named; do so with --keys-file, or with auth.keys_file of the configuration")
	}
	return cfg.Auth.KeysFile, cfg, nil
}
