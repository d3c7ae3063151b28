package tsql

import "strings"

// transaction parses BEGIN, COMMIT, ROLLBACK and SAVE TRANSACTION, and the one form of IF that drivers send.
func (p *parser) transaction(at position) Statement {
	t := &Transaction{position: at}
	if p.accept("IF") {
		t.IfOpen = true
		p.openCondition()
	}
	begin := p.peek(0)
	named := true
	switch {
	case p.accept("BEGIN"):
		if next := p.peek(0); !next.is("TRAN") && !next.is("TRANSACTION") {
			p.pos--
			p.refuse(begin)
		}
	case p.accept("COMMIT"):
		t.Action = CommitTransaction
	case p.accept("ROLLBACK"):
		t.Action = RollbackTransaction
	case p.accept("SAVE"):
		t.Action = SaveTransaction
	}
	if !p.accept("TRAN") && !p.accept("TRANSACTION") {
		named = false
		if !p.accept("WORK") && t.Action == SaveTransaction {
			p.unexpected()
		}
	}
	if next := p.peek(0); named && (next.isName() && !next.is("THROW") || next.isVariable()) {
		t.Name = p.next().plain()
	} else if t.Action == SaveTransaction {
		p.unexpected()
	}
	if t.Action == BeginTransaction && p.accept("WITH", "MARK") && p.peek(0).kind == stringToken {
		p.pos++
	}
	p.finish()
	return t
}

// opensTransaction reports whether IF @@TRANCOUNT > 0 COMMIT, or ROLLBACK, comes next, in its usual spellings. Any
// other IF is parsed by ifStatement.
func (p *parser) opensTransaction() bool {
	at := 1
	if p.peek(at).isSymbol("(") {
		at++
	}
	operator, number := p.peek(at+1).text, p.peek(at+2).text
	switch {
	case !strings.EqualFold(p.peek(at).text, "@@TRANCOUNT"):
		return false
	case number == "0" && (operator == ">" || operator == "<>" || operator == "!="):
	case number == "1" && operator == ">=":
	default:
		return false
	}
	after := p.peek(at + 3)
	if at == 2 {
		if !after.isSymbol(")") {
			return false
		}
		after = p.peek(at + 4)
	}
	return after.is("COMMIT") || after.is("ROLLBACK")
}

// openCondition takes @@TRANCOUNT > 0, after opensTransaction has found it.
func (p *parser) openCondition() {
	if p.acceptSymbol("(") {
		p.pos += 4
		return
	}
	p.pos += 3
}

// alterDatabase parses what follows ALTER DATABASE.
func (p *parser) alterDatabase(at position) Statement {
	a := &AlterDatabase{position: at}
	start := p.pos
	if !p.accept("CURRENT") {
		a.Database = p.identifier()
	}
	switch {
	case p.accept("SET", "PARTNER"):
		p.partnerClause(a)
	case p.peek(0).is("SET") && p.peek(1).is("SAFETY"): // the manual requires PARTNER; many scripts omit it
		p.pos++
		p.partnerClause(a)
	case p.accept("SET", "WITNESS"):
		p.witnessClause(a)
	case p.accept("SET", "RECOVERY"):
		a.Clause = SetRecovery
		switch a.Argument = strings.ToUpper(p.peek(0).text); {
		case p.accept("FULL"), p.accept("SIMPLE"), p.accept("BULK_LOGGED"):
		default:
			p.unexpected()
		}
	default:
		p.refuseAlter(start)
	}
	if p.err == nil {
		p.finish()
	}
	return a
}

// partnerClause parses what follows SET PARTNER.
func (p *parser) partnerClause(a *AlterDatabase) {
	words := map[string]AlterClause{
		"FAILOVER": PartnerFailover, "FORCE_SERVICE_ALLOW_DATA_LOSS": PartnerForce, "SUSPEND": PartnerSuspend,
		"RESUME": PartnerResume, "OFF": PartnerOff, "SAFETY": PartnerSafety, "TIMEOUT": PartnerTimeout,
	}
	if p.acceptSymbol("=") {
		a.Clause = SetPartner
		a.Argument = p.address()
		return
	}
	t := p.peek(0)
	clause, ok := words[strings.ToUpper(t.text)]
	if !ok || t.kind != wordToken {
		p.unexpected()
		return
	}
	p.pos++
	a.Clause = clause
	switch clause {
	case PartnerSafety:
		if a.Argument = strings.ToUpper(p.peek(0).text); !p.accept("FULL") {
			p.expect("OFF")
		}
	case PartnerTimeout:
		a.Number = p.smallNumber()
	}
}

// witnessClause parses what follows SET WITNESS.
func (p *parser) witnessClause(a *AlterDatabase) {
	if p.accept("OFF") {
		a.Clause = WitnessOff
		return
	}
	p.expectSymbol("=")
	a.Clause = SetWitness
	a.Argument = p.address()
}

// address takes the string of a partner or witness.
func (p *parser) address() string {
	if p.peek(0).kind != stringToken {
		p.unexpected()
		return ""
	}
	return p.next().plain()
}

// refuseAlter fails with the text of the statement, beginning with the database's name.
func (p *parser) refuseAlter(start int) {
	text := "ALTER DATABASE"
	for _, t := range p.tokens[start:] {
		if t.kind == endToken || t.isSymbol(";") {
			break
		}
		text += " " + t.text
		if len(text) > 200 {
			break
		}
	}
	p.unsupported("Statement", clip(text, 200))
}
