// Package logins keeps strangers out: the hashes of passwords, and how often one address may be wrong.
package logins
