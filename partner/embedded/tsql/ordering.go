package tsql

import "strings"

// groups parses GROUP BY and HAVING.
func (p *parser) groups() (grouped bool, sql string) {
	if p.accept("GROUP", "BY") {
		var terms []string
		for {
			terms = append(terms, p.value().sql)
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
		term := p.value().sql
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
