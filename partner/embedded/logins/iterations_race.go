//go:build race

package logins

// hashIterations is how often a new hash is iterated. The race detector makes each twenty times as slow, and is for tests.
const hashIterations = 10_000
