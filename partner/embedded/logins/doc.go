// Package logins checks the passwords of logins: it stores their hashes, and slows down addresses
// whose logins fail.
package logins
