package tds

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// The tokens after each statement, in the order in which SQL Server sends them.
func TestBatch_StatementsEnd(t *testing.T) {
	f := &fake{batch: func(_ context.Context, _ string, w *Response) error {
		w.Info(&Error{Message: "m"})
		w.DoneCommand(CommandNone, -1)
		w.DoneCommand(CommandInsert, 2)
		w.InProcedure(true)
		w.DoneCommand(CommandUpdate, 1)
		w.DoneCommand(CommandDelete, -1) // as under NOCOUNT: no token
		w.InProcedure(false)
		w.ReturnStatus(7)
		w.DoneCommand(CommandCreateTable, -1)
		return nil
	}}
	client, _ := dial(t, &Server{Handler: f})
	reply := string(ask(t, client, packet(packetBatch, statusFinal, batchBody("x"))))
	info := string(appendMessage(nil, tokenInfo, &Error{Message: "m"}, "PARTNERA", tds72))
	want := info + done(tokenDone, doneMore, 0, 0) + done(tokenDone, doneMore|doneCount, 0xC3, 2) +
		done(tokenDoneInProc, doneMore|doneCount, 0xC5, 1) + "\x79\x07\x00\x00\x00" + done(tokenDoneProc, doneMore, 0xE0, 0) + done(tokenDone, 0, 0xC6, 0)
	if reply != want {
		t.Errorf(" got % x\nwant % x", reply, want)
	}
}

func TestResponse_TextSize(t *testing.T) {
	for _, c := range []struct {
		typ       Type
		give, get any
	}{
		{NVarCharMax, "abcdef", "ab"},
		{VarCharMax, "abcdef", "abcd"},
		{VarCharMax, "äbcdef", "äbcd"},
		{Text, "abc", "abc"},
		{NText, "abc", "ab"},
		{VarCharMax, strings.Repeat("x", 4), "xxxx"},
		{NVarChar(10), "abcdef", "abcdef"},
		{Int, int64(7), int64(7)},
		{NVarCharMax, nil, nil},
	} {
		if got := cutLong(c.typ, c.give, 4); got != c.get {
			t.Errorf("%v %v: %v, want %v", c.typ, c.give, got, c.get)
		}
	}
	if got := cutLong(Image, []byte{1, 2, 3, 4, 5}, 4).([]byte); len(got) != 4 {
		t.Errorf("image: %v", got)
	}
}

// nester is a fake with nested transactions.
type nester struct {
	*fakeSession
	open int
}

func (n *nester) Begin(context.Context, byte, string) (uint64, error) { n.open++; return 5, nil }
func (n *nester) Commit(context.Context) error                        { n.open--; return nil }
func (n *nester) Save(_ context.Context, name string) error           { n.f.note("save " + name); return nil }
func (n *nester) RollbackTo(_ context.Context, name string) error {
	n.f.note("back to " + name)
	return nil
}
func (n *nester) InTransaction() bool { return n.open > 0 }

type nestingHandler struct{ *fake }

func (h nestingHandler) Login(ctx context.Context, l *Login) (Session, LoginReply, error) {
	s, reply, err := h.fake.Login(ctx, l)
	if err != nil {
		return nil, reply, err
	}
	return &nester{fakeSession: s.(*fakeSession)}, reply, nil
}

// Only the end of the outermost transaction is sent, and a savepoint ends no
// transaction.
func TestTransaction_Nested(t *testing.T) {
	f := &fake{}
	client, _ := dial(t, &Server{Handler: nestingHandler{f}})
	began := "\xE3\x0B\x00\x08\x08\x05\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, step := range []struct{ name, body, want string }{
		{"begin", "\x05\x00\x02\x00", began},
		{"save", "\x09\x00\x02s\x00", ""},
		{"begin within", "\x05\x00\x02\x00", began},
		{"commit within", "\x07\x00\x00\x00", ""},
		{"back", "\x08\x00\x02s\x00\x00", ""},
		{"commit", "\x07\x00\x00\x00", "\xE3\x0B\x00\x09\x00\x08\x05\x00\x00\x00\x00\x00\x00\x00"},
	} {
		reply := string(ask(t, client, packet(packetTransaction, statusFinal, []byte(allHeaders+step.body))))
		if want := step.want + done(tokenDone, 0, 0, 0); reply != want {
			t.Errorf("%s: % x, want % x", step.name, reply, want)
		}
	}
	if got := f.seen(); !slices.Equal(got, []string{"save s", "back to s"}) {
		t.Errorf("events %q", got)
	}
}
