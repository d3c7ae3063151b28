package proxy

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// watchedBody records how much memory was counted at each read.
type watchedBody struct {
	io.Reader
	m    *itemMemory
	most []int64 // one value for each read
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.most = append(b.most, b.m.used.Load())
	return b.Reader.Read(p)
}

func (b *watchedBody) Close() error { return nil }

// A client that sends nothing takes no memory. A client that sends takes at most a kilobyte, or four times what has
// arrived.
func TestReadBody_Memory(t *testing.T) {
	for _, announced := range []bool{true, false} {
		for _, size := range []int{0, 1, 2, firstRoom - 1, firstRoom, firstRoom + 1, 100_000} {
			item := bytes.Repeat([]byte("x"), size)
			m := itemMemory{limit: 1 << 20}
			b := &watchedBody{Reader: bytes.NewReader(item), m: &m}
			r := &http.Request{Body: b, ContentLength: -1}
			if announced {
				r.ContentLength = int64(size)
			}
			var share itemShare
			body, err := m.readBody(r, "a", &share, 100_000)
			if err != nil || !bytes.Equal(body, item) || m.used.Load() != int64(share.taken) {
				t.Errorf("%d bytes: got %d, %v; %d are counted, %d said", size, len(body), err, m.used.Load(), share.taken)
			}
			for i, used := range b.most {
				if i == 0 && used != 0 {
					t.Errorf("%d bytes: %d are counted before any came", size, used)
				}
				if i > 0 && used > max(firstRoom, 4*int64(size)) {
					t.Errorf("%d bytes: %d are counted", size, used)
				}
			}
		}
	}
	// If the memory is full, nothing is read: the client may wait for permission to send.
	m := itemMemory{limit: 1}
	m.takeAlways("a", new(itemShare), 1)
	b := &watchedBody{Reader: bytes.NewReader([]byte("x")), m: &m}
	var share itemShare
	if _, err := m.readBody(&http.Request{Body: b, ContentLength: 1}, "a", &share, 10); err == nil || share.taken != 0 || len(b.most) != 0 {
		t.Errorf("with the memory full: %v, %d taken, %d readings", err, share.taken, len(b.most))
	}
}
