// Package integration asks an embedded partner and a real SQL Server the same questions: a corpus of Transact-SQL snippets, each
// with the answer that Microsoft's manual gives, and the page that gives it.
//
// The snippets are in testdata, one theme a file. Lines that begin with # between two snippets are comments. A snippet is:
//
//	== integers are divided without a remainder
//	source: / (Division) (Transact-SQL), Result Types
//	SELECT 7 / 2 AS q
//	=>
//	columns q int
//	row 3
//
// The line == has the name, source: the title of the manual's page and, behind a comma, its section. The text up to => is sent as it
// stands; its first line is line 1. A line GO ends a batch, and the next one is sent on the same connection. Each snippet has a connection of
// its own, so what belongs to a session (a # table, a SET option, an open transaction) needs no end; what belongs to a database is dropped by the snippet.
//
// # Answers
//
// The lines under => are the answer, in the order in which the server sends it:
//
//	columns q int, name varchar(10), -     a result set: names and types. "-": no name; no type: any
//	row 3, 'it''s', NULL                   a row of it, as literals; spaces count
//	count 2                                rows affected, where there is no result set
//	print text                             PRINT
//	info 50000 class 10 state 1: text      another message of class 10 or less
//	error 8134 class 16 line 1: text       an error. What is not said (class, state, line, procedure, text) is not compared
//	nothing                                none of these
//
// Of a type in columns, the length may be left out: decimal stands for decimal(9,2) too, and for numeric, which the driver does not tell apart.
// Not compared at all: the messages 2007, 3621, 5701, 5703 and 8153, and the columns of a result set that an error left without a row. The manual does not say when they are sent.
//
// # What the embedded partner does not do
//
// A line behind source: says where the embedded partner differs. A real server is held to the answer all the same.
//
//	embedded: 40510 CREATE PROCEDURE       refused by 40510, whose message has these words
//	embedded: wrong                        wrong: what it answers stands under a line =>embedded after the answer
//
// Both are asserted: a mark that has become untrue turns its test red. After a change of the embedded partner
//
//	go test ./integration -run TestCorpus -mark
//
// takes out the marks that are untrue, and writes those that are missing. Read the difference: a mark that is new is a fault that is new.
//
// # Adding a snippet
//
// Write only what the manual says, and its page. What depends on a login, a collation other than
// SQL_Latin1_General_CP1_CI_AS, a language other than us_english, or a version before SQL Server 2019 does not belong here. Then
//
//	go test ./integration -run 'TestCorpus/arithmetic'
//
// says what the server answered instead, in the form above.
//
// # A real server
//
//	MIRRORSTATE_TEST_DSN='sqlserver://sa:…@host?database=tempdb' go test ./integration
//
// runs the corpus there, in tempdb, beside the embedded partner. The login must be able to create tables, procedures and types in tempdb.
package integration
