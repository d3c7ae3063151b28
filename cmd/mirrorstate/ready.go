package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// readyTime bounds the question; a server answers it without asking anybody.
const readyTime = 3 * time.Second

func newReady(s *settings) *cobra.Command {
	var (
		admin string
		known credential.Files
	)
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Ask a running server whether it takes calls, as for a container's health check",
		Long: "Asks the operators' listener of a running server (/readyz). Exit code 0: a principal is known, or calls are held for one;\n" +
			"1: there has been none for longer than the hold window, or nobody answers.",
		Example: "  mirrorstate ready\n  mirrorstate ready --config mirrorstate.yaml\n  mirrorstate ready --admin http://10.0.0.5:8081",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			roots, err := known.Roots()
			if err != nil {
				return err
			}
			url, by, err := adminAt(s, admin, roots)
			if err != nil {
				return err
			}
			said, err := askReady(cmd.Context(), url, by)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&admin, "admin", "", adminUsage)
	known.AddRoots(cmd.Flags())
	return cmd
}

// askReady gives what the server says of itself in a line; what is not 200 is an error.
func askReady(ctx context.Context, admin string, by *tls.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := client.ValidURL(admin); err != nil {
		return "", notAdmin(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(admin, "/")+"/readyz", nil)
	if err != nil {
		return "", err
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: by}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	said := strings.Join(strings.Fields(string(body)), " ")
	if resp.StatusCode == http.StatusNotFound {
		return "", fmt.Errorf("%s has no /readyz%s", admin, notOperators)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not ready (%d): %s", resp.StatusCode, said)
	}
	return said, nil
}
