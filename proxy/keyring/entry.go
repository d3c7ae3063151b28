package keyring

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Entry is one line of the file: a key, or a certificate's name, and what it is good for.
type Entry struct {
	// ID names the entry, in lists and logs; it is no secret.
	ID string `json:"id"`
	// Name says whose it is. Entries of one name are one caller: the second key of a
	// rotation finds what the first one began.
	Name string `json:"name"`
	// SHA256 is of the key's secret, in hexadecimal digits. Either this or Certificate.
	SHA256 string `json:"sha256,omitempty"`
	// Certificate is a client certificate's DNS name, or its common name where it has none,
	// compared without case.
	Certificate string `json:"certificate,omitempty"`
	// Apps are aliases of the configuration, or applications' names; * is all.
	Apps []string `json:"apps,omitempty"`
	// Rights are names of rights.
	Rights []string `json:"rights"`
	// Created is when it was made, Expires when it ends; zero: never.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

// Expired says whether it has ended.
func (e *Entry) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// Check says what is wrong with the entry, and what would be right.
func (e *Entry) Check() error {
	rights, err := ParseRights(e.Rights)
	switch {
	case err != nil:
		return err
	case e.ID == "" || e.Name == "":
		return errors.New("id or name is missing")
	case strings.ContainsFunc(e.ID+e.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(e.Name) > 200:
		return errors.New("id and name are printed: no control characters, and at most 200 bytes")
	case (e.SHA256 == "") == (e.Certificate == ""):
		return errors.New("give sha256 or certificate, and not both")
	case rights == 0:
		return errors.New("no rights: it would be good for nothing")
	case rights&(Sessions|List) != 0 && len(e.Apps) == 0:
		return fmt.Errorf("rights to sessions (%v) and no apps: name them, or * for all", rights&(Sessions|List))
	case rights&(Sessions|List) == 0 && len(e.Apps) > 0:
		return errors.New("apps, and no right to their sessions")
	}
	if e.SHA256 == "" {
		return nil
	}
	if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != sha256.Size {
		return errors.New("sha256 is not 64 hexadecimal digits")
	}
	return nil
}
