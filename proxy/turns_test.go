package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// rivals are two callers of one server: flood uses as much as it can, and good comes later.
type rivals struct {
	t    *testing.T
	api  *proxy.API
	keys map[string]string
}

func rivalsOf(t *testing.T, store session.Store, limits proxy.Limits) *rivals {
	t.Helper()
	keys, byName := ringOf(t, "flood:read,write,lock:default", "good:read,write,lock:default")
	api, err := proxy.NewAPI(proxy.Config{Store: store, Keys: keys, Apps: twoApps, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return &rivals{t: t, api: api, keys: byName}
}

// record calls the API without a server.
func (v *rivals) record(caller, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+v.keys[caller])
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	v.api.ServeHTTP(rec, r)
	return rec
}

// begin is record in a goroutine.
func (v *rivals) begin(caller, method, path, body string) <-chan int {
	code := make(chan int, 1)
	go func() { code <- v.record(caller, method, path, body).Code }()
	synctest.Wait() // so that the calls arrive in the order of the test
	return code
}

// awaitBytes waits until the items in memory have this many bytes.
func (v *rivals) awaitBytes(want int64) {
	v.t.Helper()
	for end := time.Now().Add(soon); v.api.Stats().Memory.Bytes != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("items take %d bytes, want %d", v.api.Stats().Memory.Bytes, want)
		}
	}
}

// ended returns which of the calls have ended, and their statuses.
func ended(calls []<-chan int) string {
	synctest.Wait()
	var all []string
	for i, c := range calls {
		select {
		case code := <-c:
			all = append(all, fmt.Sprintf("%d: %d", i, code))
		default:
		}
	}
	return strings.Join(all, ", ")
}

// Uploads that wait for their clients are evicted for another caller, the oldest first.
func TestTurns_StalledUploads(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			const size = 200_000
			v := rivalsOf(t, memory.New(nil), proxy.Limits{ItemsMemory: 5*size + 150_000})
			server := httptest.NewUnstartedServer(v.api)
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			put := func(caller string, body io.Reader, length int64) (int, error) {
				r, err := http.NewRequestWithContext(ctx, "PUT", server.URL+sessions+"/of-"+caller, body)
				if err != nil {
					return 0, err
				}
				r.ContentLength = length
				r.Header.Set("Authorization", "Bearer "+v.keys[caller])
				resp, err := server.Client().Do(r)
				if err != nil {
					return 0, err
				}
				defer resp.Body.Close()
				if resp.Proto != protocol {
					t.Errorf("it speaks %s", resp.Proto)
				}
				return resp.StatusCode, nil
			}
			type end struct {
				number, code int
				err          error
			}
			floods := make(chan end, 5)
			var feeds []*io.PipeWriter
			defer func() {
				for _, feed := range feeds {
					feed.CloseWithError(io.ErrUnexpectedEOF)
				}
			}()
			for i := range 5 {
				body, feed := io.Pipe()
				feeds = append(feeds, feed)
				go func() {
					code, err := put("flood", body, size)
					floods <- end{i, code, err}
				}()
				if _, err := feed.Write(make([]byte, size-1)); err != nil {
					t.Fatal(err)
				}
				v.awaitBytes(int64(i+1) * size)
			}
			if code, err := put("flood", bytes.NewReader(make([]byte, size)), size); code != http.StatusTooManyRequests {
				t.Errorf("one more of the flood's: %d, %v", code, err)
			}
			if code, err := put("good", bytes.NewReader(make([]byte, size)), size); code != http.StatusCreated {
				t.Errorf("the other caller's item: %d, %v", code, err)
			}
			select {
			case got := <-floods:
				if got != (end{0, http.StatusTooManyRequests, nil}) {
					t.Errorf("the flood's oldest upload: %+v", got)
				}
			case <-ctx.Done():
				t.Fatal("none of the flood's uploads made room")
			}
			v.awaitBytes(4 * size)
			if s := v.api.Stats().Memory; s.Evicted != 1 || s.Refused != 1 {
				t.Errorf("counted %+v", s)
			}
			for _, feed := range feeds {
				feed.CloseWithError(io.ErrUnexpectedEOF)
			}
			for range 4 {
				<-floods
			}
			v.awaitBytes(0)
		})
	}
}

// Answers that are not read are evicted too. A lock in such an answer is given back.
func TestTurns_UnreadAnswers(t *testing.T) {
	const size = 8 << 20 // more than the sockets' buffers
	for _, ask := range []string{"GET /v1/apps/default/sessions/%s", "POST /v1/apps/default/sessions/%s/lock"} {
		t.Run(ask, func(t *testing.T) {
			store := memory.New(nil)
			app := session.Application{Name: strings.ToLower(proxy.DefaultApplicationName)}.WithDefaults()
			app.MaxItem = size
			for _, id := range []session.ID{"first", "second", "third"} {
				ref, item := session.Ref{App: &app, ID: id}, session.Write{Item: make([]byte, size)}
				if _, err := store.Put(t.Context(), ref, item, session.Condition{}, session.NewOperation()); err != nil {
					t.Fatal(err)
				}
			}
			v := rivalsOf(t, store, proxy.Limits{ItemsMemory: 5 * size / 2})
			server := httptest.NewServer(v.api)
			defer server.Close()
			for i, id := range []string{"first", "second"} {
				c, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.(*net.TCPConn).SetReadBuffer(4096)
				fmt.Fprintf(c, ask+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nAuthorization: Bearer %s\r\n\r\n", id, v.keys["flood"])
				v.awaitBytes(int64(i+1) * size)
			}
			if rec := v.record("good", "GET", sessions+"/third", ""); rec.Code != http.StatusOK || rec.Body.Len() != size {
				t.Errorf("the other caller got %d with %d bytes", rec.Code, rec.Body.Len())
			}
			v.awaitBytes(size)
			if s := v.api.Stats().Memory; s.Evicted != 1 || s.Refused != 0 {
				t.Errorf("counted %+v", s)
			}
			if rec := v.record("good", "POST", sessions+"/first/lock?wait=10s", ""); rec.Code != http.StatusOK {
				t.Errorf("the lock of the answer that was cut off: %d", rec.Code)
			}
		})
	}
}

// slowStore is a store whose Puts wait until they are released.
type slowStore struct {
	session.Store
	go1 chan struct{}
}

func (s *slowStore) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	if err := session.Permitted(ctx); err != nil {
		return session.Session{}, err
	}
	<-s.go1
	return s.Store.Put(ctx, ref, w, cond, op)
}

// Items of calls that wait for a place at the store are evicted. An item at the store is not.
func TestTurns_ItemsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1000
		store := &slowStore{memory.New(time.Now), make(chan struct{})}
		v := rivalsOf(t, store, proxy.Limits{ItemsMemory: 5*size + 800, Places: 1})
		item := strings.Repeat("x", size)
		var floods []<-chan int
		for range 5 {
			floods = append(floods, v.begin("flood", "PUT", sessions+"/of-flood", item))
		}
		if code := v.record("flood", "PUT", sessions+"/of-flood", item).Code; code != http.StatusTooManyRequests {
			t.Errorf("one more of the flood's: %d", code)
		}
		good := v.begin("good", "PUT", sessions+"/of-good", item)
		if got := ended(floods); got != "1: 429" {
			t.Errorf("of the flood ended %q", got)
		}
		close(store.go1)
		if code := <-good; code != http.StatusCreated {
			t.Errorf("the other caller's item: %d", code)
		}
		if got := ended(floods); got != "0: 201, 2: 204, 3: 204, 4: 204" {
			t.Errorf("then of the flood ended %q", got)
		}
		if s := v.api.Stats(); s.Memory.Bytes != 0 || s.Admission.Busy != 0 || s.Admission.Waiting != 0 || s.Memory.Evicted != 1 {
			t.Errorf("at the end %+v, %+v", s.Memory, s.Admission)
		}
	})
}

// heldStore holds its Puts, like a pair without a principal, until serve is closed or the call's context ends. Then
// they are sent; answer is closed when they have been executed.
type heldStore struct {
	session.Store
	serve, answer chan struct{}
}

func (s *heldStore) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	select {
	case <-s.serve:
	case <-ctx.Done():
		return session.Session{}, ctx.Err()
	}
	if err := session.Permitted(ctx); err != nil {
		return session.Session{}, err
	}
	<-s.answer
	return s.Store.Put(ctx, ref, w, cond, op)
}

// Items of calls that the store holds are evicted if nothing of the call was sent, and the answer says so. After an
// attempt was sent, an item is not evicted.
func TestTurns_ItemsInTheHold(t *testing.T) {
	for _, query := range []string{"", "?wait=60s"} {
		t.Run(query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 1000
				store := &heldStore{memory.New(time.Now), make(chan struct{}), make(chan struct{})}
				v := rivalsOf(t, store, proxy.Limits{ItemsMemory: 5*size + 800})
				item := strings.Repeat("x", size)
				var first *httptest.ResponseRecorder
				floods := make([]<-chan int, 5)
				for i := range floods {
					code := make(chan int, 1)
					go func() {
						rec := v.record("flood", "PUT", fmt.Sprintf("%s/of-flood%d%s", sessions, i, query), item)
						if i == 0 {
							first = rec
						}
						code <- rec.Code
					}()
					synctest.Wait()
					floods[i] = code
				}
				if code := v.record("flood", "PUT", sessions+"/of-flood", item).Code; code != http.StatusTooManyRequests {
					t.Errorf("one more of the flood's: %d", code)
				}
				good := v.begin("good", "PUT", sessions+"/of-good", item)
				if got := ended(floods); got != "0: 429" {
					t.Errorf("of the flood ended %q", got)
				} else if body := first.Body.String(); !strings.Contains(body, `"outcome":"not-applied"`) || !strings.Contains(body, "/overloaded") {
					t.Errorf("the evicted call got %s", body)
				}
				close(store.serve)
				synctest.Wait()
				for i := range 6 { // more bytes than the limit, and all were sent
					v.begin("good", "PUT", fmt.Sprintf("%s/late%d", sessions, i), item[:size/2])
				}
				if got := ended(floods); got != "" {
					t.Errorf("of what was sent ended %q", got)
				}
				close(store.answer)
				if code := <-good; code != http.StatusCreated {
					t.Errorf("the other caller's item: %d", code)
				}
				if got := ended(floods); got != "1: 201, 2: 201, 3: 201, 4: 201" {
					t.Errorf("then of the flood ended %q", got)
				}
				if code := v.record("good", "GET", sessions+"/of-flood0", "").Code; code != http.StatusNotFound {
					t.Errorf("the item of the call that made room: %d", code)
				}
				if s := v.api.Stats().Memory; s.Bytes != 0 || s.Evicted != 1 {
					t.Errorf("at the end %+v", s)
				}
			})
		})
	}
}

// The items of one caller that were sent leave some room for another caller, but no more.
func TestTurns_RoomBesideWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1000
		store := &slowStore{memory.New(time.Now), make(chan struct{})}
		v := rivalsOf(t, store, proxy.Limits{ItemsMemory: 16 * size})
		var all []<-chan int
		put := func(caller string, size int) {
			all = append(all, v.begin(caller, "PUT", fmt.Sprintf("%s/%d", sessions, len(all)), strings.Repeat("x", size)))
		}
		for range 15 {
			put("flood", size)
		}
		for range 4 {
			put("good", size/3)
		}
		if got := ended(all); got != "14: 429, 18: 429" {
			t.Errorf("refused were %q", got)
		}
		close(store.go1)
		if got := ended(all); strings.Count(got, "201") != 17 {
			t.Errorf("then ended %q", got)
		}
		if code := v.record("flood", "PUT", sessions+"/large", strings.Repeat("x", 16*size)).Code; code != http.StatusCreated {
			t.Errorf("one item alone: %d", code)
		}
	})
}

// Items of calls that wait for a lock are evicted too.
func TestTurns_ItemsBehindALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1000
		v := rivalsOf(t, memory.New(time.Now), proxy.Limits{ItemsMemory: 5*size + 800})
		item := strings.Repeat("x", size)
		v.record("flood", "PUT", sessions+"/locked", "")
		lock := v.record("flood", "POST", sessions+"/locked/lock", "").Header().Get("Session-Lock")
		var floods []<-chan int
		for range 5 {
			floods = append(floods, v.begin("flood", "PUT", sessions+"/locked?wait=60s", item))
		}
		if code := v.record("good", "PUT", sessions+"/of-good", item).Code; code != http.StatusCreated {
			t.Errorf("the other caller's item: %d", code)
		}
		if got := ended(floods); got != "0: 429" {
			t.Errorf("of the flood ended %q", got)
		}
		time.Sleep(time.Second) // the first call polls meanwhile
		if code := v.record("flood", "DELETE", sessions+"/locked/lock", "", "Session-Lock", lock).Code; code != http.StatusNoContent {
			t.Errorf("release: %d", code)
		}
		if got := ended(floods); got != "1: 204, 2: 204, 3: 204, 4: 204" {
			t.Errorf("then of the flood ended %q", got)
		}
		if s := v.api.Stats(); s.Memory.Bytes != 0 || s.Memory.Evicted != 1 || s.Waiters.Waiting != 0 {
			t.Errorf("at the end %+v, %+v", s.Memory, s.Waiters)
		}
	})
}

// callerStore records the callers of its calls.
type callerStore struct {
	session.Store
	asked []string
}

func (s *callerStore) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	s.asked = append(s.asked, session.CallerOf(ctx))
	return s.Store.Put(ctx, ref, w, cond, op)
}

func (s *callerStore) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	s.asked = append(s.asked, session.CallerOf(ctx))
	return s.Store.Get(ctx, ref, opts)
}

// The store gets the caller of each call, so that it can share its own bounds between callers.
func TestTurns_StoreIsToldTheCaller(t *testing.T) {
	store := &callerStore{Store: memory.New(nil)}
	v := rivalsOf(t, store, proxy.Limits{})
	v.record("flood", "PUT", sessions+"/x", "item")
	v.record("good", "GET", sessions+"/x", "")
	if got := strings.Join(store.asked, ", "); got != "flood, good" {
		t.Errorf("the calls were for %q", got)
	}
}
