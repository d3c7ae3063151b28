package embedded

import (
	"testing"
)

// notYetInFormat4 takes away what format 4 has and format 3 had not.
const notYetInFormat4 = "DROP TABLE MirrorStateSettled; ALTER TABLE ASPStateTempSessions DROP COLUMN LockCallId; " +
	"ALTER TABLE ASPStateTempSessions DROP COLUMN Settled; ALTER TABLE ASPStateTempSessions DROP COLUMN MadeOperationId; ALTER TABLE MirrorStateTombstones DROP COLUMN Created; "

// notYetInFormat5 takes away what format 5 has and format 4 had not.
const notYetInFormat5 = "ALTER TABLE ASPStateTempSessions DROP COLUMN TimeoutSeconds; ALTER TABLE ASPStateTempSessions DROP COLUMN TimeoutDate; "

// A folder that an earlier version made is taken as it is.
func TestOpen_earlierFormat(t *testing.T) {
	for name, without := range map[string]string{
		// There was nothing but ASPState, and everything in it.
		"2": "DROP TABLE partner_database; DROP TABLE partner_objects; " + notYetInFormat4 + notYetInFormat5 + "PRAGMA user_version = 2",
		"3": notYetInFormat4 + notYetInFormat5 + "PRAGMA user_version = 3",
		"4": notYetInFormat5 + "PRAGMA user_version = 4",
	} {
		t.Run(name, func(t *testing.T) { openEarlier(t, without) })
	}
}

// openEarlier opens a folder from which what a script drops is missing.
func openEarlier(t *testing.T, without string) {
	dir := t.TempDir()
	pair := reopen(t, dir)
	a := pair.Partner("a")
	storeItem(t, a, "x", []byte("kept"))
	want := dump(t, a)
	if err := pair.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range partnerNames {
		c, err := openConn(pair.folder.database(name, DatabaseName))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.script(without); err != nil {
			t.Fatal(err)
		}
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
	}
	again := reopen(t, dir)
	if got := dump(t, again.Partner("a")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if again.State() != "SYNCHRONIZED" || again.Principal() != "a" {
		t.Errorf("principal %q, %s", again.Principal(), again.State())
	}
	storeItem(t, again.Partner("a"), "y", []byte("new"))
	if n := len(*again.Partner("a").main().store.objects.Load()); n < 40 {
		t.Errorf("%d objects", n)
	}
}
