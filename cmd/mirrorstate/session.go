package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/session"
)

// sessionCommand is what the session commands have in common.
type sessionCommand struct {
	settings *settings
	target   target
	app      string
}

func newSession(s *settings) *cobra.Command {
	c := &sessionCommand{settings: s}
	cmd := &cobra.Command{
		Use:     "session",
		Short:   "Look at and mend sessions",
		Long:    "Looks at sessions and removes them, through a running server's operators' listener, or\ndirectly with --connection-string.",
		Example: "  mirrorstate session list\n  mirrorstate session get aiaeqbqafqboaeebkycyqgyb",
		Args:    exactly(0, "get, list or rm"),
		RunE:    func(*cobra.Command, []string) error { return misuse.Errorf("session wants a verb; see session --help") },
	}
	c.target.add(cmd)
	cmd.PersistentFlags().StringVar(&c.app, "app", "default", "the application: an alias, or its ASP.NET `NAME`")
	cmd.AddCommand(c.get(), c.list(), c.rm())
	return cmd
}

// with runs a verb on the store and the application.
func (c *sessionCommand) with(ctx context.Context, verb func(st sessions, app *session.Application) error) error {
	app, err := c.target.application(c.settings, c.app)
	if err != nil {
		return err
	}
	st, done, err := c.target.store(ctx, c.settings)
	if err != nil {
		return err
	}
	defer done()
	return verb(st, app)
}

func (c *sessionCommand) get() *cobra.Command {
	var raw, asJSON bool
	cmd := &cobra.Command{
		Use:     "get ID",
		Short:   "Show a session without renewing it",
		Example: "  mirrorstate session get aiaeqbqafqboaeebkycyqgyb --raw > item.bin",
		Args:    exactly(1, "one session id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := session.ParseID(args[0])
			if err != nil {
				return misuse.Of(err)
			}
			if raw && asJSON {
				return misuse.Errorf("--raw and --json exclude each other")
			}
			return c.with(cmd.Context(), func(st sessions, app *session.Application) error {
				got, err := st.Get(cmd.Context(), session.Ref{App: app, ID: id}, session.GetOptions{Peek: true, AllowLocked: true})
				if err != nil {
					return err
				}
				if asJSON {
					return printSessionJSON(cmd.OutOrStdout(), id, got)
				}
				return printSession(cmd.OutOrStdout(), id, got, raw)
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "write the item's bytes and nothing else")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the item in base64")
	return cmd
}

// printSessionJSON uses the names that session list --json uses.
func printSessionJSON(out io.Writer, id session.ID, s session.Session) error {
	return json.NewEncoder(out).Encode(struct {
		ID            session.ID `json:"id"`
		Expires       time.Time  `json:"expires,omitzero"`
		Timeout       int        `json:"timeout"`             // minutes
		Seconds       int        `json:"timeout_s,omitempty"` // where it was set in seconds
		Uninitialized bool       `json:"uninitialized"`
		Size          int        `json:"size"`
		Item          []byte     `json:"item"` // base64
	}{id, s.Expires, s.Timeout, s.Seconds, s.Uninitialized, len(s.Item), s.Item})
}

func printSession(out io.Writer, id session.ID, s session.Session, raw bool) error {
	if raw {
		_, err := out.Write(s.Item)
		return err
	}
	fmt.Fprintf(out, "id             %s\n", id)
	fmt.Fprintf(out, "timeout        %s\n", timeoutText(s.Timeout, s.Seconds))
	if !s.Expires.IsZero() {
		fmt.Fprintf(out, "expires        %s\n", s.Expires.Format(time.RFC3339))
	}
	fmt.Fprintf(out, "uninitialized  %t\n", s.Uninitialized)
	fmt.Fprintf(out, "size           %d bytes\n", len(s.Item))
	_, err := io.WriteString(out, hex.Dump(s.Item))
	return err
}

// timeoutText is a timeout as it was set: in seconds where there are any.
func timeoutText(minutes, seconds int) string {
	if seconds > 0 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min", minutes)
}

// listPage is how many sessions one call asks for.
const listPage = 1000

func (c *sessionCommand) list() *cobra.Command {
	var (
		asJSON, expired bool
		limit           int
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List an application's sessions",
		Example: "  mirrorstate session list --app /LM/W3SVC/1/ROOT --limit 20",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return misuse.Errorf("--limit %d is below 1", limit)
			}
			return c.with(cmd.Context(), func(st sessions, app *session.Application) error {
				all, err := listAll(cmd.Context(), st, app, limit, expired)
				if err != nil {
					return err
				}
				return printEntries(cmd.OutOrStdout(), all, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&limit, "limit", 1000, "list at most `N`")
	cmd.Flags().BoolVar(&expired, "expired", false, "only those that have expired and are not swept yet")
	return cmd
}

// listAll pages through the sessions, up to limit; with expired, through those that have.
func listAll(ctx context.Context, st session.Lister, app *session.Application, limit int, expired bool) ([]session.Entry, error) {
	all := []session.Entry{}
	after := session.ID("")
	for len(all) < limit {
		page, err := st.List(ctx, app, after, listPage)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if (e.Expired || !expired) && len(all) < limit {
				all = append(all, e)
			}
		}
		if len(page) < listPage {
			break
		}
		after = page[len(page)-1].ID
	}
	return all, nil
}

func printEntries(out io.Writer, entries []session.Entry, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(entries)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tEXPIRES\tTIMEOUT\tLOCKED\tSIZE")
	for _, e := range entries {
		locked := "no"
		if e.Locked {
			locked = fmt.Sprintf("%d s", e.LockAge)
		}
		expires := e.Expires.Format(time.RFC3339)
		if e.Expired {
			expires += " (expired)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", e.ID, e.Created.Format(time.RFC3339), expires, timeoutText(e.Timeout, e.Seconds), locked, e.Size)
	}
	return w.Flush()
}

func (c *sessionCommand) rm() *cobra.Command {
	return &cobra.Command{
		Use:     "rm ID",
		Short:   "Remove a session, unless somebody holds its lock",
		Example: "  mirrorstate session rm aiaeqbqafqboaeebkycyqgyb",
		Args:    exactly(1, "one session id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := session.ParseID(args[0])
			if err != nil {
				return misuse.Of(err)
			}
			return c.with(cmd.Context(), func(st sessions, app *session.Application) error {
				ref := session.Ref{App: app, ID: id}
				// Removing what is not there succeeds; who types an id wants to know that it is wrong. A key may be good for
				// removing alone: whatever else becomes of this question is no matter.
				if _, err := st.Get(cmd.Context(), ref, session.GetOptions{Peek: true, AllowLocked: true}); errors.Is(err, session.ErrNotFound) {
					return err
				}
				if err := st.Remove(cmd.Context(), ref, session.Lock{}, session.Operation{}); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", id)
				return err
			})
		},
	}
}
