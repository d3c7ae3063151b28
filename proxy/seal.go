package proxy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/mirrorstate/mirrorstate/session"
)

// A sealer seals tags and locks for callers, and opens the texts that callers send. A sealed text hides the operation
// ids and cookies in it, cannot be made or changed without the key, and opens for its session only.
//
// The form is a deterministic authenticated encryption with a synthetic iv:
//
//	head  = length of the application's name, 2 bytes, big-endian | the name |
//	        length of the session's id, 2 bytes, big-endian | the id without case
//	iv    = HMAC-SHA-256(mac key, label | head | plaintext), the first 16 bytes
//	sealed = base64url(iv | plaintext XOR AES-256-CTR(cipher key, iv))
//
// The plaintext of a tag is the store's tag; that of a lock is the operation id and the cookie, big-endian. Equal
// versions have equal tags, and a lock has one handle. Each kind has keys of its own, derived from the fleet's secret
// by HKDF-SHA-256, so every proxy of a fleet opens what another proxy has sealed.
//
// Any number of goroutines may use a sealer. It allocates only what it returns.
type sealer struct {
	secret  []byte // the secret that the keys are derived from
	public  bool   // the keys are not secret: see publicSecret
	tags    box
	handles box
	cursors box // the last id of a page of a list
}

// publicSecret is the secret of a fleet whose database has no place for one (the stock schema). There the cookie alone
// proves a lock, as it does for .NET, and cannot be hidden. So the key is public, and the same in all proxies.
const publicSecret = "mirrorstate: a stock schema keeps no secret"

// ivLength is the length of the iv in bytes. A sealed text is longer than its plaintext by this.
const ivLength = 16

// lockLength is the length of a lock's plaintext, handleLength that of a handle.
const (
	lockLength   = len(session.OperationID{}) + 4
	handleLength = ((ivLength+lockLength)*8 + 5) / 6
)

// maxSealed is the longest text that is opened. No store's tag is nearly as long.
const maxSealed = 512

// newSealer returns the sealer of a fleet's secret. nil means that the fleet has no secret.
func newSealer(secret []byte) (*sealer, error) {
	s := &sealer{secret: secret}
	if secret == nil {
		s.public, secret = true, []byte(publicSecret)
	}
	if err := s.tags.derive(secret, "tag"); err != nil {
		return nil, err
	}
	if err := s.cursors.derive(secret, "cursor"); err != nil {
		return nil, err
	}
	return s, s.handles.derive(secret, "lock")
}

// tag returns the session's sealed tag, in quotation marks.
func (s *sealer) tag(ref session.Ref, tag session.Tag) string {
	w := s.tags.work(ref)
	defer s.tags.done(w)
	w.message = append(w.message, tag...)
	return w.seal(`"`)
}

// openTag returns the store's tag, without quotation marks. ok is false for a text that no sealer of this secret made
// for this session.
func (s *sealer) openTag(ref session.Ref, text string) (tag session.Tag, ok bool) {
	w := s.tags.work(ref)
	defer s.tags.done(w)
	if !w.unseal(text) {
		return "", false
	}
	return session.Tag(w.plain()), true
}

// handle returns the sealed lock. If the key is public, it leaves out the operation id, which the stock schema does not
// use.
func (s *sealer) handle(ref session.Ref, lock session.Lock) string {
	if s.public {
		lock.Operation = session.OperationID{}
	}
	w := s.handles.work(ref)
	defer s.handles.done(w)
	w.message = append(w.message, lock.Operation[:]...)
	w.message = binary.BigEndian.AppendUint32(w.message, uint32(lock.Cookie))
	return w.seal("")
}

// openHandle returns the lock of a handle. For a text that does not open it returns [session.ErrLockLost]: a caller must
// do the same as after a lost lock. It refuses the zero lock too, because to a store it means "without a lock".
func (s *sealer) openHandle(ref session.Ref, text string) (lock session.Lock, err error) {
	w := s.handles.work(ref)
	defer s.handles.done(w)
	if len(text) != handleLength || !w.unseal(text) {
		return session.Lock{}, session.ErrLockLost
	}
	plain := w.plain()
	if !s.public { // with a public key anybody can make a handle, which must not name an operation
		lock.Operation = session.OperationID(plain[:len(lock.Operation)])
	}
	lock.Cookie = int32(binary.BigEndian.Uint32(plain[len(lock.Operation):]))
	if lock.IsZero() {
		return session.Lock{}, session.ErrLockLost
	}
	return lock, nil
}

// box seals one kind of text with keys of its own.
type box struct {
	label string
	block cipher.Block
	macs  sync.Pool // of *work
}

// derive sets the label and derives the keys from the secret.
func (b *box) derive(secret []byte, label string) error {
	b.label = label
	key, err := hkdf.Key(sha256.New, secret, nil, "mirrorstate 1 "+label+" cipher", 32)
	if err != nil {
		return err
	}
	if b.block, err = aes.NewCipher(key); err != nil {
		return err
	}
	if key, err = hkdf.Key(sha256.New, secret, nil, "mirrorstate 1 "+label+" mac", 32); err != nil {
		return err
	}
	b.macs.New = func() any { return &work{block: b.block, mac: hmac.New(sha256.New, key)} }
	return nil
}

// work is the memory for one sealing or opening. It is taken from a box with work and returned with done.
type work struct {
	block   cipher.Block
	mac     hash.Hash
	message []byte // the input of the mac: label, head and, from at on, the plaintext
	at      int
	bytes   []byte // iv and ciphertext
	text    []byte
	sum     [sha256.Size]byte
	count   [aes.BlockSize]byte
	pad     [aes.BlockSize]byte
}

// plain returns the plaintext.
func (w *work) plain() []byte { return w.message[w.at:] }

func (b *box) work(ref session.Ref) *work {
	w := b.macs.Get().(*work)
	m := append(w.message[:0], b.label...)
	m = binary.BigEndian.AppendUint16(m, uint16(len(ref.App.Name)))
	m = append(m, ref.App.Name...)
	at := len(m)
	m = ref.ID.AppendFolded(append(m, 0, 0))
	binary.BigEndian.PutUint16(m[at:], uint16(len(m)-at-2))
	w.message, w.at = m, len(m)
	return w
}

func (b *box) done(w *work) { b.macs.Put(w) }

// seal returns the sealed plaintext between two quotes.
func (w *work) seal(quote string) string {
	w.authenticate()
	w.bytes = append(append(w.bytes[:0], w.sum[:ivLength]...), w.plain()...)
	w.keystream(w.bytes[ivLength:], w.bytes[:ivLength])
	w.text = append(w.text[:0], quote...)
	w.text = base64.RawURLEncoding.AppendEncode(w.text, w.bytes)
	w.text = append(w.text, quote...)
	return string(w.text)
}

// unseal decrypts a text into plain, and reports whether it was sealed with the same key for the same session.
func (w *work) unseal(text string) bool {
	if len(text) > maxSealed {
		return false
	}
	w.text = append(w.text[:0], text...)
	var err error
	w.bytes, err = strictURL.AppendDecode(w.bytes[:0], w.text)
	// The decoder skips line ends, but only one text may stand for a value.
	if err != nil || len(w.bytes) < ivLength || strictURL.EncodedLen(len(w.bytes)) != len(text) {
		return false
	}
	w.message = append(w.message[:w.at], w.bytes[ivLength:]...)
	w.keystream(w.plain(), w.bytes[:ivLength])
	w.authenticate()
	return subtle.ConstantTimeCompare(w.sum[:ivLength], w.bytes[:ivLength]) == 1
}

// strictURL is base64url that accepts only one text for each value.
var strictURL = base64.RawURLEncoding.Strict()

// authenticate computes the mac of the message into sum.
func (w *work) authenticate() {
	w.mac.Reset()
	w.mac.Write(w.message)
	w.mac.Sum(w.sum[:0])
}

// keystream XORs b with AES-CTR from iv. It does what cipher.NewCTR does, without an allocation.
func (w *work) keystream(b, iv []byte) {
	copy(w.count[:], iv)
	for len(b) > 0 {
		w.block.Encrypt(w.pad[:], w.count[:])
		b = b[subtle.XORBytes(b, b, w.pad[:]):]
		for i := len(w.count) - 1; i >= 0; i-- {
			if w.count[i]++; w.count[i] != 0 {
				break
			}
		}
	}
}
