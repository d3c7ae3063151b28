// Package tdstest provides a scripted pair of servers on loopback that speaks TDS. It is for the tests of
// package partner and of the packages below it. It answers the queries of these packages and no others. Other
// tests should use package embeddedtest.
package tdstest
