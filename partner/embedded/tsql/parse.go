package tsql

import (
	"fmt"
	"maps"
	"strings"
)

// Parse splits a batch into its statements and parses each. The error is always an *Error, and then there are no
// statements: a batch is refused as a whole, as SQL Server does for a syntax error. An empty batch has no statements.
//
// Names in double quotes are identifiers (QUOTED_IDENTIFIER ON). After a SET QUOTED_IDENTIFIER OFF in the batch they
// are strings; see ParseQuoted. Semicolons are optional. Parse ignores a last line that is only GO: GO is not T-SQL,
// but is often pasted with the text.
//
// Parse uses no schema. It writes values unchanged, so that a date string is stored in a datetime column in the form
// that the batch has. Use ParseFor if the tables are known.
func Parse(batch string) ([]Statement, error) { return ParseFor(batch, nil) }

// ParseFor is Parse with a schema. A nil schema has no tables. The result depends only on the batch and on the results
// of schema.
func ParseFor(batch string, schema Schema) ([]Statement, error) {
	return ParseTyped(batch, schema, nil)
}

// ParseTyped is ParseFor with the types of variables that the batch does not declare, such as the parameters of
// sp_executesql. The keys are names in lower case with their "@".
func ParseTyped(batch string, schema Schema, variables map[string]TypeSpec) ([]Statement, error) {
	return ParseQuoted(batch, schema, true, variables)
}

// ParseQuoted is ParseTyped for a session with QUOTED_IDENTIFIER ON (identifiers) or OFF. If it is OFF, a text in
// double quotes is a string.
func ParseQuoted(batch string, schema Schema, identifiers bool, variables map[string]TypeSpec) ([]Statement, error) {
	tokens, err := tokenize(batch)
	if err != nil {
		return nil, err
	}
	requote(tokens, identifiers)
	p := &parser{tokens: withoutGo(tokens), schema: schema, declared: maps.Clone(variables)}
	var statements []Statement
	for p.skipSemicolons(); !p.atEnd(); p.skipSemicolons() {
		statements = append(statements, p.statement(len(statements) == 0)...)
	}
	if p.err != nil {
		return nil, p.err
	}
	return statements, nil
}

// withoutGo removes a last line that is only GO.
func withoutGo(tokens []token) []token {
	n := len(tokens) - 1 // the end
	if n < 1 || !tokens[n-1].is("GO") || n > 1 && tokens[n-2].line == tokens[n-1].line {
		return tokens
	}
	return append(tokens[:n-1:n-1], token{kind: endToken, line: tokens[n].line})
}

func (p *parser) skipSemicolons() {
	for p.acceptSymbol(";") {
		continue
	}
}

// statement parses one statement; SET a, b ON returns several. Only the first statement of a batch may be a procedure's
// name without EXEC.
func (p *parser) statement(first bool) []Statement { return p.statementAt(first, 0) }

// statementAt is statement for a statement nested depth levels deep.
func (p *parser) statementAt(first bool, depth int) []Statement {
	p.in = &inputs{}
	p.depth = depth
	at := position(p.line())
	t := p.peek(0)
	word := ""
	if t.kind == wordToken {
		word = strings.ToUpper(t.text)
	}
	if st, ok := p.flow(at, word); ok {
		return []Statement{st}
	}
	if st, ok := p.setup(at, word); ok {
		return []Statement{st}
	}
	switch word {
	case "SET":
		p.pos++
		return p.set(at)
	case "DECLARE":
		p.pos++
		return []Statement{p.declare(at)}
	case "USE":
		p.pos++
		return []Statement{&Use{position: at, Database: p.identifier()}}
	case "PRINT":
		p.pos++
		return []Statement{p.print(at)}
	case "EXEC", "EXECUTE":
		p.pos++
		return []Statement{p.exec(at)}
	case "SELECT", "INSERT", "UPDATE", "DELETE":
		if p.peek(1).is("BULK") {
			p.refuse(t)
			return nil
		}
		if p.body != nil && word == "SELECT" && p.intoAhead() {
			return p.selectInto(at, "")
		}
		return []Statement{p.query(at, word, "")}
	case "WITH":
		with := p.with()
		if p.body != nil && p.peek(0).is("SELECT") && p.intoAhead() {
			return p.selectInto(at, with)
		}
		return []Statement{p.withStatement(at, with)}
	case "MERGE":
		return []Statement{p.merge(at, "")}
	case "BEGIN":
		if next := p.peek(1); !next.is("TRAN") && !next.is("TRANSACTION") && !next.is("TRY") && !next.is("CATCH") && !next.is("DISTRIBUTED") && !next.is("DIALOG") {
			p.pos++
			return p.block()
		}
		return []Statement{p.transaction(at)}
	case "COMMIT", "ROLLBACK", "SAVE":
		return []Statement{p.transaction(at)}
	case "IF":
		if p.opensTransaction() {
			return []Statement{p.transaction(at)}
		}
		p.pos++
		return []Statement{p.ifStatement(at)}
	case "CREATE", "ALTER", "DROP", "TRUNCATE":
		if list, ok := p.definition(at, first); ok {
			return list
		}
	case "GRANT", "REVOKE", "DENY":
		return []Statement{p.grant(at)}
	case "ENABLE", "DISABLE":
		if p.peek(1).is("TRIGGER") {
			return []Statement{p.switchTrigger(at)}
		}
	}
	switch {
	case t.isSymbol("(") && p.opensQuery():
		return []Statement{p.query(at, "SELECT", "")}
	case p.accept("ALTER", "DATABASE"):
		return []Statement{p.alterDatabase(at)}
	case t.kind == wordToken && p.peek(1).isSymbol(":"):
		p.unsupported("Statement", "label "+t.text)
	case otherStatements[word]:
		p.refuse(t)
	case first && t.isName():
		return []Statement{p.exec(at)}
	default:
		p.unexpected()
	}
	return nil
}

// refuse fails with the name of the statement that begins with t.
func (p *parser) refuse(t token) {
	name := strings.ToUpper(t.text)
	next := p.peek(1)
	switch kind := strings.ToUpper(next.text); {
	case next.kind != wordToken:
	case (name == "CREATE" || name == "ALTER" || name == "DROP") && !objectTypes[kind]:
		p.fail(&Error{Number: 343, State: 1, Class: 15, Line: int(next.line), Message: fmt.Sprintf("Unknown object type '%s' used in a CREATE, DROP, or ALTER statement.", next.text)})
		return
	case twoWords[name]:
		name += " " + kind
	}
	p.unsupported("Statement", name)
}

// objectTypes are the first words of the object types of CREATE, ALTER and DROP. Source: the manual's "CREATE
// statements".
var objectTypes = wordSet("AGGREGATE APPLICATION ASSEMBLY ASYMMETRIC AVAILABILITY BROKER CERTIFICATE CLUSTERED COLUMN COLUMNSTORE CONTRACT CREDENTIAL CRYPTOGRAPHIC DATABASE " +
	"DEFAULT ENDPOINT EVENT EXTERNAL FULLTEXT FUNCTION INDEX LOGIN MASTER MATERIALIZED MESSAGE NONCLUSTERED OR PARTITION PRIMARY PROC PROCEDURE QUEUE REMOTE RESOURCE ROLE ROUTE RULE " +
	"SCHEMA SEARCH SECURITY SELECTIVE SEQUENCE SERVER SERVICE SPATIAL STATISTICS SYMMETRIC SYNONYM TABLE TRIGGER TYPE UNIQUE USER VIEW WORKLOAD XML")

// boundaries are the reserved words that begin a statement and so end the previous one.
var boundaries = wordSet(`
ALTER BACKUP BEGIN BREAK CHECKPOINT CLOSE COMMIT CONTINUE CREATE DBCC DEALLOCATE DECLARE DELETE DENY DROP END EXEC EXECUTE
FETCH GOTO GRANT IF INSERT KILL LOAD MERGE OPEN PRINT RAISERROR READTEXT RECONFIGURE RESTORE RETURN REVERT REVOKE
ROLLBACK SAVE SELECT SET SETUSER SHUTDOWN TRUNCATE UPDATE UPDATETEXT USE WAITFOR WHILE WRITETEXT`)

// unfinished are words that would continue a statement with an unsupported clause.
var unfinished = wordSet(`INTO FOR WINDOW PIVOT UNPIVOT TABLESAMPLE COMPUTE OUTPUT OVER WITHIN`)

// finish checks that the statement ends here: with a semicolon, the end of the batch, or the first word of another
// statement.
func (p *parser) finish() {
	t := p.peek(0)
	word := strings.ToUpper(t.text)
	switch {
	case t.kind == endToken || t.isSymbol(";"):
	case t.kind == wordToken && unfinished[word]:
		p.unsupported("Clause", word)
	case t.kind == wordToken && (boundaries[word] || otherStatements[word] || word == "ELSE"):
	default:
		p.unexpected()
	}
}
