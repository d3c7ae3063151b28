package tsql

import "strings"

// groups parses GROUP BY and HAVING; terms are nil without GROUP BY.
func (p *parser) groups() (terms []fragment, sql string) {
	if p.accept("GROUP", "BY") {
		if p.peek(0).is("GROUPING") && p.peek(1).is("SETS") || p.peek(0).is("ALL") {
			p.unsupported("Clause", "GROUP BY "+strings.ToUpper(p.peek(0).text))
		}
		var texts []string
		for {
			f := p.value()
			terms = append(terms, f)
			texts = append(texts, p.sortKey(f))
			if !p.acceptSymbol(",") {
				break
			}
		}
		sql = " GROUP BY " + strings.Join(texts, ", ")
		if t := p.peek(0); t.is("WITH") {
			p.unsupported("Clause", "GROUP BY … WITH "+strings.ToUpper(p.peek(1).text))
		}
	}
	if p.accept("HAVING") {
		before := len(p.in.bare)
		f := p.condition()
		sql += " HAVING " + f.sql
		if c := p.ungrouped(bareColumns{f.sql, p.in.bare[before:]}, terms, p.in.outer); c != nil && p.err == nil {
			p.notGrouped(8121, c, true, "the HAVING clause")
		}
	}
	return terms, sql
}

// sortKey writes the key by which rows are sorted or grouped: text without case and trailing blanks, and
// datetimeoffsets as moments.
func (p *parser) sortKey(f fragment) string {
	switch {
	case p.typeOf(f).Name == "datetimeoffset":
		return asMoment(f).sql
	case f.column != "" && f.qualifier == "" && p.in.texts[strings.ToLower(f.column)]:
		return f.sql + " COLLATE " + Collation
	}
	return collated(f)
}

// order parses ORDER BY and OFFSET … FETCH; limit is the LIMIT of TOP.
func (p *parser) order(limit string, s *selection) (order, window string) {
	if limit != "" {
		window = " LIMIT " + limit
	}
	if !p.accept("ORDER", "BY") {
		return "", window
	}
	order = " ORDER BY " + p.orderTerms(s)
	switch {
	case limit != "":
	case p.accept("OFFSET"):
		window = p.offset()
	default:
		s.ordered = true
	}
	return order, window
}

// orderTerms parses value [ASC | DESC], … . s is the SELECT whose items may be named; nil: none may be named.
func (p *parser) orderTerms(s *selection) string {
	var terms []string
	for {
		term := p.sortKey(p.value())
		if p.accept("DESC") {
			term += " DESC"
		} else {
			p.accept("ASC")
		}
		terms = append(terms, term)
		if !p.acceptSymbol(",") {
			return strings.Join(terms, ", ")
		}
	}
}

// offset parses the tokens after OFFSET: n ROWS [FETCH NEXT m ROWS ONLY].
func (p *parser) offset() string {
	rows := func() {
		if !p.accept("ROWS") {
			p.expect("ROW")
		}
	}
	skip := p.rowCount(p.value())
	rows()
	if !p.accept("FETCH") {
		return " LIMIT -1 OFFSET " + skip
	}
	if !p.accept("NEXT") {
		p.expect("FIRST")
	}
	take := p.rowCount(p.value())
	rows()
	p.expect("ONLY")
	return " LIMIT " + take + " OFFSET " + skip
}
