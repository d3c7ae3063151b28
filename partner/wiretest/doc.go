// Package wiretest is a scripted pair of servers on loopback that speaks TDS: for the tests of package partner and of its rooms.
// It answers the queries that these send, and no others. Other people's tests want package embeddedtest.
package wiretest
