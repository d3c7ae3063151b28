package engine

import (
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// createLocals creates the client's temporary tables on the connection, for the procedure and those that
// it calls.
func (c *invocation) createLocals(r *storage.Reader) error {
	c.after = nil
	for name, t := range c.s.locals {
		if name[0] != '#' {
			continue
		}
		if c.after == nil {
			c.after = localTables{}
		}
		c.after[name] = t
		if err := errors.Join(r.Script(t.st.SQL), t.fill(r)); err != nil {
			return fmt.Errorf("create %s: %w", t.st.Name, err)
		}
	}
	return nil
}

// dropLocals drops the client's temporary tables on the connection, and keeps their rows as the procedure has left
// them.
func (c *invocation) dropLocals(r *storage.Reader) error {
	var errs []error
	for name, t := range c.after {
		there, err := r.HasTemporary(t.st.Name)
		if err == nil && !there { // a ROLLBACK has removed the table, so its rows are those from before the call
			continue
		}
		left := &localTable{st: t.st}
		errs = append(errs, err, left.read(r), r.Script(t.st.DropSQL))
		c.after[name] = left
	}
	return errors.Join(errs...)
}
