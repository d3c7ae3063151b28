package tsql

import "strings"

// groups parses GROUP BY and HAVING.
func (p *parser) groups() (grouped bool, sql string) {
	if p.accept("GROUP", "BY") {
		var terms []string
		for {
			terms = append(terms, p.sortKey(p.value()))
			if !p.acceptSymbol(",") {
				break
			}
		}
		sql = " GROUP BY " + strings.Join(terms, ", ")
		if t := p.peek(0); t.is("WITH") {
			p.unsupported("Clause", "GROUP BY … WITH "+strings.ToUpper(p.peek(1).text))
		}
	}
	grouped = sql != ""
	if p.accept("HAVING") {
		sql += " HAVING " + p.condition().sql
	}
	return grouped, sql
}

// sortKey writes what rows are sorted or grouped by: text without regard to case and blanks at the end, and datetimeoffsets as moments.
func (p *parser) sortKey(f fragment) string {
	switch {
	case p.typeOf(f).Name == "datetimeoffset":
		return momentOf(f).sql
	case f.column != "" && f.qualifier == "" && p.in.texts[strings.ToLower(f.column)]:
		return f.sql + " COLLATE " + Collation
	}
	return collated(f)
}

// order parses ORDER BY and OFFSET … FETCH; limit is that of TOP.
func (p *parser) order(limit string) (order, window string) {
	if limit != "" {
		window = " LIMIT " + limit
	}
	if !p.accept("ORDER", "BY") {
		return "", window
	}
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
			break
		}
	}
	order = " ORDER BY " + strings.Join(terms, ", ")
	if limit == "" && p.accept("OFFSET") {
		window = p.offset()
	}
	return order, window
}

// offset parses what follows OFFSET: n ROWS [FETCH NEXT m ROWS ONLY].
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
