package aspstate_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session"
)

// torn is a server on which the commit of every write fails after the row was sent.
type torn struct{ tds.Session }

// Login implements tds.Handler.
func (s torn) Login(context.Context, *tds.Login) (tds.Session, tds.LoginReply, error) {
	return s, tds.LoginReply{ServerName: "SQL", Database: "ASPState"}, nil
}

// Reset implements tds.Session.
func (torn) Reset(context.Context) error { return nil }

// Close implements tds.Session.
func (torn) Close() {}

// Call implements tds.Session.
func (torn) Call(_ context.Context, c *tds.Call, w *tds.Response) error {
	if strings.HasSuffix(c.Name, "GetAppId_1") {
		w.Columns(tds.Column{Name: "Result", Type: tds.Int}, tds.Column{Name: "AppId", Type: tds.Int})
		err := w.Row(0, 1)
		w.Done(1)
		return err
	}
	var columns []tds.Column
	for _, name := range strings.Fields("Result LockCookie LockAge Timeout Expires Created Locked OperationId1 ActionFlags Item") {
		columns = append(columns, tds.Column{Name: name, Type: tds.Int})
	}
	w.Columns(columns...)
	if err := w.Row(0, 2, 0, 20, nil, nil, nil, nil, 0, nil); err != nil {
		return err
	}
	return &tds.Error{Number: 9002, Class: 17, Message: "The transaction log for database 'ASPState' is full."}
}

// TestStore_ARowIsNoCommit: OUTPUT rows are sent before the commit. So a call succeeds only if no error follows the
// row.
func TestStore_ARowIsNoCommit(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- (&tds.Server{Handler: torn{}}).Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	db := openDB(t, "server=127.0.0.1;port="+port+";user id=u;password=p;encrypt=disable;database=ASPState")
	store := openStore(t, &single{db: db, extended: true})

	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	ref := session.Ref{App: &app, ID: session.NewID()}
	if _, err := store.Put(t.Context(), ref, session.Write{Item: []byte("1")}, session.Condition{}, session.NewOperation()); err == nil {
		t.Error("a put whose commit failed was acknowledged")
	}
	if _, lock, err := store.Acquire(t.Context(), ref, session.NewOperation()); err == nil {
		t.Errorf("a lock whose commit failed was granted: %v", lock)
	}
}
