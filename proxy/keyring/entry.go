package keyring

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Entry is one entry of the file: a key or a certificate's name, with its applications and rights.
type Entry struct {
	// ID names the entry in lists and logs. It is not secret.
	ID string `json:"id"`
	// Name names the caller. Entries with the same name are one caller: after a key
	// rotation the second key continues what the first one began.
	Name string `json:"name"`
	// SHA256 is the hash of the key's secret, in hexadecimal digits. An entry has either SHA256 or Certificate.
	SHA256 string `json:"sha256,omitempty"`
	// Certificate is the DNS name of a client certificate, or its common name if it has no DNS name.
	// Case is ignored.
	Certificate string `json:"certificate,omitempty"`
	// Apps are aliases from the configuration, or names of applications; * means all.
	Apps []string `json:"apps,omitempty"`
	// Rights are names of rights.
	Rights []string `json:"rights"`
	// Created is when the entry was made, Expires when it expires. Zero Expires: never.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

// Expired reports whether the entry has expired.
func (e *Entry) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// Check returns an error if the entry is invalid. The error says what is wrong and what to do.
func (e *Entry) Check() error {
	rights, err := ParseRights(e.Rights)
	switch {
	case err != nil:
		return err
	case e.ID == "" || e.Name == "":
		return errors.New("id or name is missing")
	case strings.ContainsFunc(e.ID+e.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(e.Name) > 200:
		return errors.New("id and name must have no control characters, and name at most 200 bytes")
	case (e.SHA256 == "") == (e.Certificate == ""):
		return errors.New("give sha256 or certificate, and not both")
	case rights == 0:
		return errors.New("no rights: name at least one")
	case rights&(Sessions|List) != 0 && len(e.Apps) == 0:
		return fmt.Errorf("rights to sessions (%v), but no apps: name them, or * for all", rights&(Sessions|List))
	case rights&(Sessions|List) == 0 && len(e.Apps) > 0:
		return errors.New("apps, but no right to their sessions: remove apps or add a right")
	}
	if e.SHA256 == "" {
		return nil
	}
	if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != sha256.Size {
		return errors.New("sha256 is not 64 hexadecimal digits")
	}
	return nil
}
