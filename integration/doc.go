// Package integration runs the same tests on an embedded partner and on a real SQL Server: a corpus of Transact-SQL
// snippets, each with the answer in Microsoft's manual, and the page that has it.
//
// The snippets are in testdata, one file per theme. Lines that begin with # between two snippets are comments. A
// snippet is:
//
//	== integers are divided without a remainder
//	source: / (Division) (Transact-SQL), Result Types
//	SELECT 7 / 2 AS q
//	=>
//	columns q int
//	row 3
//
// The line == has the name. The line source: has the title of the manual's page and, after a comma, its section. The
// text up to => is sent unchanged; its first line is line 1. A line GO ends a batch; the next batch is sent on the same
// connection. Each snippet has a new connection, so that objects of a session (a # table, a SET option, an open
// transaction) need no cleanup. The snippet must drop the objects that it creates in a database.
//
// # Answers
//
// The lines after => are the answer, in the order in which the server sends it:
//
//	columns q int, name varchar(10), -     a result set: names and types. "-": no name; no type: any
//	row 3, 'it''s', NULL                   a row of it, as literals; spaces count
//	count 2                                rows affected, if there is no result set
//	print text                             PRINT
//	info 50000 class 10 state 1: text      another message of class 10 or less
//	error 8134 class 16 line 1: text       an error. What is omitted (class, state, line, procedure, text) is not compared
//	nothing                                none of these
//
// A type in columns may omit the length: decimal then matches decimal(9,2) too, and also numeric, which the driver does
// not distinguish. Not compared at all: the messages 2007, 3621, 5701, 5703 and 8153, and the columns of a result set
// without rows that an error ended. The manual does not say when they are sent.
//
// # Differences of the embedded partner
//
// A line after source: says how the embedded partner differs. A real server must give the documented answer
// nevertheless.
//
//	embedded: 40510 CREATE PROCEDURE       refused by 40510, whose message has these words
//	embedded: wrong                        wrong: the embedded partner's answer follows a line =>embedded after the documented one
//
// Both marks are tested: a mark that is no longer true fails its test. After a change of the embedded partner
//
//	go test ./integration -run TestCorpus -mark
//
// removes the marks that are no longer true, and adds the missing ones. Read the difference: a new mark is a new bug.
//
// # Adding a snippet
//
// Write only what the manual says, and name its page. An answer that depends on a login, a collation other than
// SQL_Latin1_General_CP1_CI_AS, a language other than us_english, or a version before SQL Server 2019 does not belong
// here. Then
//
//	go test ./integration -run 'TestCorpus/arithmetic'
//
// prints the server's actual answer, in the form above.
//
// # A real server
//
//	MIRRORSTATE_TEST_DSN='sqlserver://sa:…@host?database=tempdb' go test ./integration
//
// runs the corpus there, in tempdb, and on the embedded partner. The login must be able to create tables, procedures
// and types in tempdb.
package integration
