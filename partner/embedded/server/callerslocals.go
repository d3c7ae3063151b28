package server

import (
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// showLocals puts the client's temporary tables where the procedure, and those that it calls, find them.
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
			return fmt.Errorf("show %s: %w", t.st.Name, err)
		}
	}
	return nil
}

// takeLocals takes them away, as the procedure has left them.
func (c *invocation) dropLocals(r *storage.Reader) error {
	var errs []error
	for name, t := range c.after {
		there, err := r.HasTemporary(t.st.Name)
		if err == nil && !there { // a ROLLBACK took it along: it is as it was before
			continue
		}
		left := &localTable{st: t.st}
		errs = append(errs, err, left.read(r), r.Script(t.st.DropSQL))
		c.after[name] = left
	}
	return errors.Join(errs...)
}
