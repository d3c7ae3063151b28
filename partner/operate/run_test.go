package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sqlError is an error like those of the driver.
type sqlError struct {
	number int32
	class  uint8
}

func (e sqlError) Error() string           { return fmt.Sprint("error ", e.number) }
func (e sqlError) SQLErrorNumber() int32   { return e.number }
func (e sqlError) SQLErrorMessage() string { return "The message." }
func (e sqlError) SQLErrorClass() uint8    { return e.class }

// script is a server whose answers a test sets.
type script struct {
	query func(query string) ([]Row, error)
	exec  func(statement string) error
	log   *[]string
	name  string
}

func (s *script) Query(_ context.Context, q string) ([]Row, error) {
	if s.query == nil {
		return []Row{{"yes": "1"}}, nil
	}
	return s.query(q)
}

func (s *script) Exec(_ context.Context, q string) error {
	*s.log = append(*s.log, s.name+": "+q)
	if s.exec == nil {
		return nil
	}
	return s.exec(q)
}

// runner returns a Runner with two servers. By default every check passes and every statement succeeds.
func runner() (r *Runner, a, b *script, log *[]string) {
	log = new([]string)
	a, b = &script{log: log, name: "a"}, &script{log: log, name: "b"}
	return &Runner{Servers: map[Side]Server{A: a, B: b}}, a, b, log
}

func refusalOf(err error) Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return *r
	}
	return Refusal{}
}

func TestRun_Statement(t *testing.T) {
	shows := &Step{On: B, Kind: Wait, Text: "shows", Within: time.Minute}
	undo := []Step{{On: B, Kind: Do, Text: "undo"}, {On: A, Kind: Do, Text: "all"}}
	for _, c := range []struct {
		name  string
		step  Step
		a     func(tries int) error   // what the statement returns
		holds func(query string) bool // whether a query on b returns a row
		err   int32                   // -1: no error
		log   string
	}{
		{"a statement that is not needed is skipped", Step{Unless: "unless"}, nil, nil, -1, ""},
		{"a temporary error is retried", Step{Again: []int32{1413}}, func(n int) error {
			if n < 3 {
				return sqlError{1413, 16}
			}
			return nil
		}, nil, -1, "a: x|a: x|a: x"},
		{"a temporary error is not retried forever", Step{Again: []int32{1413}}, func(int) error { return sqlError{1413, 16} }, nil, 1413, "a: x|…"},
		{"an ignored error", Step{Ignore: []int32{1439}}, func(int) error { return sqlError{1439, 16} }, nil, -1, "a: x"},
		{"a broken connection, but the views show the result", Step{Shows: shows}, func(int) error { return errors.New("EOF") }, func(string) bool { return true }, -1, "a: x"},
		{"a refusal, but the views show the result", Step{Shows: shows}, func(int) error { return sqlError{1470, 16} }, func(string) bool { return true }, -1, "a: x"},
		{"a refusal, and the views don't show the result", Step{Shows: shows}, func(int) error { return sqlError{1470, 16} }, func(string) bool { return false }, 1470, "a: x"},
		{"a failed step is undone", Step{Undo: undo}, func(int) error { return sqlError{1418, 16} }, nil, 1418, "a: x|b: undo|a: all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, a, b, log := runner()
				tries := 0
				a.exec = func(string) error {
					tries++
					if c.a == nil {
						return nil
					}
					return c.a(tries)
				}
				b.query = func(q string) ([]Row, error) {
					if c.holds != nil && c.holds(q) {
						return []Row{{"yes": "1"}}, nil
					}
					return nil, nil
				}
				c.step.On, c.step.Kind, c.step.Text = A, Do, "x"
				began := time.Now()
				err := r.Run(t.Context(), &Plan{Steps: []Step{c.step}})
				if n := refusalOf(err).Number; c.err >= 0 && n != c.err || c.err < 0 && err != nil {
					t.Errorf("ended with %v, want %d", err, c.err)
				}
				if c.err > 0 && refusalOf(err).Advice == "" {
					t.Error("the refusal has no advice")
				}
				got := strings.Join(*log, "|")
				if strings.HasSuffix(c.log, "…") && len(*log) > 10 && time.Since(began) < 2*time.Minute {
					return
				}
				if got != c.log {
					t.Errorf("sent %s, want %s", got, c.log)
				}
			})
		})
	}
}

func TestRun_ChecksAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, _, log := runner()
		looks := 0
		a.query = func(string) ([]Row, error) {
			if looks++; looks == 2 {
				return nil, errors.New("the connection was reset") // the wait must continue
			}
			if looks < 5 {
				return nil, nil
			}
			return []Row{{"yes": "1"}}, nil
		}
		wait := Step{On: A, Kind: Wait, Text: "w", Within: time.Second, Refusal: &Refusal{Message: "state not reached"}}
		if err := r.Run(t.Context(), &Plan{Steps: []Step{wait}}); err != nil || looks != 5 {
			t.Errorf("%v after %d looks", err, looks)
		}
		a.query = func(string) ([]Row, error) { return nil, nil }
		began := time.Now()
		err := r.Run(t.Context(), &Plan{Steps: []Step{wait, {On: A, Kind: Do, Text: "never"}}})
		if f := refusalOf(err); f.Message != "state not reached within 1s" || f.On != A || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		check := Step{On: A, Kind: Check, Text: "c", Refusal: refuse(1470, "this server is not the principal")}
		err = r.Run(t.Context(), &Plan{Steps: []Step{check, {On: A, Kind: Do, Text: "never"}}})
		if f := refusalOf(err); f.Number != 1470 || len(*log) > 0 {
			t.Errorf("%v, sent %v", err, *log)
		}
		if err := r.Run(t.Context(), &Plan{Steps: []Step{{On: A, Kind: Do, Text: "never"}, {On: Witness, Kind: Do, Text: "x"}}}); refusalOf(err).On != Witness || len(*log) > 0 {
			t.Errorf("a plan for a server without a connection: %v, sent %v", err, *log)
		}
	})
}

func TestRun_CarriesFilesAndValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b, log := runner()
		a.query = func(string) ([]Row, error) { return []Row{{"sid": "0x0A", "hash": "0xFF"}}, nil }
		arrived := time.Now().Add(5 * time.Minute)
		b.query = func(string) ([]Row, error) {
			if time.Now().Before(arrived) {
				return nil, sqlError{3201, 16}
			}
			return []Row{{"LogicalName": "x"}}, nil
		}
		plan := &Plan{Secrets: []string{"Key"}, Steps: []Step{
			{On: A, Kind: Read, Text: "SELECT h AS hash, s AS sid", Into: []string{"H", "S"}},
			{On: B, Kind: Carry, Text: "RESTORE FILELISTONLY", Within: 10 * time.Minute},
			{On: B, Kind: Do, Text: "$(H) $(S) $(Other) '$(Key)'"}}}
		if err := r.Run(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		if got := (*log)[0]; !strings.HasPrefix(got, "b: 0xFF 0x0A $(Other) 'm7-") || strings.Contains(got, "$(Key)") {
			t.Errorf("sent %s", got)
		}
		a.query = func(string) ([]Row, error) { return []Row{{"sid": "0x0A; DROP", "hash": "0xFF"}}, nil }
		if err := r.Run(t.Context(), plan); !strings.Contains(fmt.Sprint(err), "not a binary constant") {
			t.Errorf("a value that contains a statement: %v", err)
		}
		a.query = func(string) ([]Row, error) { return nil, nil }
		if err := r.Run(t.Context(), plan); refusalOf(err).Number != 15151 {
			t.Errorf("no value: %v", err)
		}
		arrived = time.Now().Add(time.Hour)
		if err := r.Run(t.Context(), &Plan{Steps: plan.Steps[1:2]}); !strings.Contains(fmt.Sprint(err), "within 10m0s") {
			t.Errorf("a file that is never copied: %v", err)
		}
		carry := plan.Steps[1]
		carry.Refusal = refuse(3201, "the backup x.bak has not arrived")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		err := r.Run(ctx, &Plan{Steps: []Step{carry}})
		if text := fmt.Sprint(err); !strings.Contains(text, "stopped while waiting: the backup x.bak has not arrived") || strings.Contains(text, "within") {
			t.Errorf("a wait that is stopped: %v", err)
		}
	})
}

// Every name and string is quoted.
func TestFill_Quotes(t *testing.T) {
	got := fill("ALTER DATABASE %[ SET PARTNER = %N, SUBJECT = %', PORT = %s", "a]b'c", "it's", "it's", 5022)
	if want := `ALTER DATABASE [a]]b'c] SET PARTNER = N'it''s', SUBJECT = 'it''s', PORT = 5022`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, bad := range []Options{{Database: "x$(Key)"}, {Database: "a\nDROP"}, {Database: "x", Endpoint: [2]string{"a b:1", "c:1"}}, {Database: "x", Endpoint: [2]string{"a':1", "c:1"}},
		{Database: "x", Endpoint: [2]string{"a:1", "A:1"}}, {Database: "x", Endpoint: [2]string{"a:1", "b:1"}, Safety: "HALF"}, {Database: "x", Endpoint: [2]string{"a:1", "b:1"}, Witness: "w"},
		{Database: "x", Endpoint: [2]string{"a:1", "b:1"}, Accounts: [3]string{`D\a`}}} {
		if _, err := DryRun(Setup, bad); err == nil {
			t.Errorf("accepted: %+v", bad)
		}
	}
}

// A name with a sqlcmd command or variable is never put into a script, whether it comes from an option or a server.
func TestPlan_RefusesNames(t *testing.T) {
	for _, bad := range []string{"web\nGO\n:!! touch x", "$(mirrorstate_login)", ":r x.sql", "!!dir", "GO", "a\u2028b", "a\x1b[2J"} {
		good := Options{Database: "x", Endpoint: [2]string{"a:1", "b:1"}}
		for what, change := range map[string]func(o *Options){
			"database": func(o *Options) { o.Database = bad }, "group": func(o *Options) { o.Group = bad }, "login": func(o *Options) { o.Logins = []string{"web", bad} },
			"share": func(o *Options) { o.Share = bad }, "mirror data": func(o *Options) { o.MirrorData = bad }, "account": func(o *Options) { o.Accounts = [3]string{`D\a`, `D\b`, bad} },
			"replica": func(o *Options) { o.ReplicaName[1] = bad }, "address": func(o *Options) { o.Address[0] = bad }, "endpoint": func(o *Options) { o.Endpoint[0] = bad + ":1" },
			"a right's login": func(o *Options) {
				o.Rights = []ServerRight{{Login: bad, Permission: "VIEW SERVER STATE", State: "GRANT"}}
			},
		} {
			o := good
			change(&o)
			if what == "endpoint" && bad == "GO" {
				continue // GO:1 is a host and a port, not a command
			}
			_, err := DryRun(Setup, o)
			if _, mistake := errors.AsType[Mistake](err); !mistake {
				t.Errorf("%s %q: got %v", what, bad, err)
			}
		}
		for what, f := range map[string]Found{
			"server": {ServerName: bad}, "file": {Database: &FoundDatabase{Logical: []string{bad}}}, "endpoint": {Endpoint: &FoundEndpoint{Name: bad}},
			"certificate": {Endpoint: &FoundEndpoint{Certificate: bad}}, "group": {Group: &FoundGroup{Name: bad}}, "replica": {Group: &FoundGroup{Replicas: []FoundReplica{{Server: bad}}}},
		} {
			f.On = A
			_, err := NewPlan(Setup, good, [2]*Found{&f, {On: B}})
			if r, refused := errors.AsType[*Refusal](err); !refused || !strings.Contains(r.Message, "can't be used in a script") {
				t.Errorf("a server's %s %q: got %v", what, bad, err)
			}
		}
	}
}

// Each error number that a statement can get has an advice of one sentence.
func TestAdvice(t *testing.T) {
	for n, a := range advices {
		if a == "" || strings.HasSuffix(a, ".") || strings.Contains(a, "\n") {
			t.Errorf("%d: %q", n, a)
		}
	}
	for _, numbers := range [][]int32{transient, notThereYet, notSuspended, alreadyThere, {1416, 1418, 1422, 1431, 1447, 1455, 1462, 1470, 1477, 35250, 41142, 41140, 19416}} {
		for _, n := range numbers {
			if Advice(n) == Advice(0) {
				t.Errorf("%d has no advice", n)
			}
		}
	}
	if !slices.Contains(Verbs, Setup) || Advice(99999) == "" {
		t.Error("an unknown number has no advice")
	}
}
