package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/session"
)

// maxIdempotencyKey is the most bytes an Idempotency-Key may have.
const maxIdempotencyKey = 255

// makeOperation derives the call's operation id from its Idempotency-Key and its caller. Without a key the call has
// no operation id, and the store makes one. For a create it makes the session's id as well.
func (c *call) makeOperation(ctx context.Context) error {
	key, ok, err := oneHeader(c.r.Header["Idempotency-Key"], "Idempotency-Key")
	if err != nil {
		return err
	}
	if !ok {
		if c.ref.ID == "" {
			c.ref.ID = session.NewID()
		}
		return nil
	}
	if key == "" || len(key) > maxIdempotencyKey {
		return badInput("header Idempotency-Key", fmt.Sprintf("must have between 1 and %d bytes", maxIdempotencyKey))
	}
	secret, err := c.api.secrets.operations(ctx)
	if err != nil {
		return err
	}
	if c.ref.ID == "" {
		c.ref.ID = keyedID(secret, nameOf(c.caller), c.ref.App.Name, key)
	}
	sum := keyedHash(secret, nameOf(c.caller), c.ref.App.Name, string(c.ref.ID.Folded()), c.verb(), key)
	c.op = session.Operation{ID: session.OperationID(sum[:len(c.op.ID)]), Call: session.NewOperationID(), Began: c.began}
	return nil
}

// keyedID returns the id of the session that a create with this key creates. It is always the same, so the create can
// be sent again. The id has ASP.NET's form and 120 bits.
func keyedID(secret []byte, caller, app, key string) session.ID {
	const alphabet = "abcdefghijklmnopqrstuvwxyz012345"
	sum := keyedHash(secret, caller, app, "", "", key)
	id := make([]byte, 24)
	for i := range id {
		id[i] = alphabet[sum[i]&31]
	}
	return session.ID(id)
}

// keyed reports whether the call has an Idempotency-Key, so that other calls may have the same operation id.
func (c *call) keyed() bool { return !c.op.ID.IsZero() }

// verb returns the name of the call's verb, as a part of the operation id. A session remembers the operations of all
// verbs together. So if one key is used first for a lock and then for a store, the store must not look as if it were
// done already. Parameters are not part of the operation id: they are part of the request's content, see contentOf.
func (c *call) verb() string {
	if strings.HasSuffix(c.r.URL.Path, "/lock") {
		return c.r.Method + " lock"
	}
	return c.r.Method
}

// keyedHash returns the HMAC-SHA-256 of the parts, each after its length in four bytes, so that different lists of parts
// give different bytes.
func keyedHash(secret []byte, caller, app, id, verb, key string) [sha256.Size]byte {
	text := make([]byte, 0, 512)
	for _, part := range [...]string{caller, app, id, verb, key} {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return sum
}
