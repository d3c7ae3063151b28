//go:build race

package logins

// hashIterations is the number of iterations of a new hash. The race detector, used in tests, makes each iteration
// twenty times as slow.
const hashIterations = 10_000
