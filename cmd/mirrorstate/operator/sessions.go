package operator

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// PrintSessionJSON prints a session as JSON, with the field names of session list --json.
func PrintSessionJSON(out io.Writer, id session.ID, s session.Session) error {
	return json.NewEncoder(out).Encode(struct {
		ID            session.ID `json:"id"`
		Expires       time.Time  `json:"expires,omitzero"`
		Timeout       int        `json:"timeout"`             // minutes
		Seconds       int        `json:"timeout_s,omitempty"` // if it was set in seconds
		Uninitialized bool       `json:"uninitialized"`
		Size          int        `json:"size"`
		Item          []byte     `json:"item"` // base64
	}{id, s.Expires, s.Timeout, s.Seconds, s.Uninitialized, len(s.Item), s.Item})
}

// PrintSession prints a session as text; with raw, it writes only the bytes of the item.
func PrintSession(out io.Writer, id session.ID, s session.Session, raw bool) error {
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

// timeoutText returns a timeout as it was set: in seconds or in minutes.
func timeoutText(minutes, seconds int) string {
	if seconds > 0 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min", minutes)
}

// listPage is the number of sessions that one call asks for.
const listPage = 1000

// ListAll returns up to limit sessions, page by page; with expired, only expired ones.
func ListAll(ctx context.Context, st session.Lister, app *session.Application, limit int, expired bool) ([]session.Entry, error) {
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

// PrintEntries prints a list of sessions as a table or as JSON.
func PrintEntries(out io.Writer, entries []session.Entry, asJSON bool) error {
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

// Sessions is a store that can also list sessions.
type Sessions interface {
	session.Store
	session.Lister
}
