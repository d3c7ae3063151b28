//go:build !race

package logins

// hashIterations is how often a new hash is iterated: some 30 ms of a processor.
const hashIterations = 200_000
