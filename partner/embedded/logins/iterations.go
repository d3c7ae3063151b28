//go:build !race

package logins

// hashIterations is the number of iterations of a new hash: about 30 ms of a
// processor.
const hashIterations = 200_000
