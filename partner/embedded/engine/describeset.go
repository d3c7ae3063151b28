package engine

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// describedSetColumns are the columns of sp_describe_first_result_set.
var describedSetColumns = columnsOf(`is_hidden:b column_ordinal:i name:n is_nullable:b system_type_id:i system_type_name:f max_length:s precision:t scale:t
	collation_name:n user_type_id:i user_type_database:n user_type_schema:n user_type_name:n assembly_qualified_type_name:d xml_collection_id:i
	xml_collection_database:n xml_collection_schema:n xml_collection_name:n is_xml_document:b is_case_sensitive:b is_fixed_length_clr_type:b source_server:n
	source_database:n source_schema:n source_table:n source_column:n is_identity_column:b is_part_of_unique_key:b is_updateable:b is_computed_column:b
	is_sparse_column_set:b ordinal_in_order_by_list:s order_by_list_length:s order_by_is_descending:s tds_type_id:i tds_length:i tds_collation_id:i
	tds_collation_sort_id:t`)

// describeFirstSet returns the rows of sp_describe_first_result_set, for texts that begin with a SELECT.
func describeFirstSet(c *catalogueCall) (rows [][]any, err error) {
	if n := c.number("@browse_information_mode", 0); n != 0 {
		return nil, sqlerror.NotSupported("sp_describe_first_result_set with @browse_information_mode = %d", n)
	}
	b := &batch{s: c.s}
	if declared := c.text("@params"); declared != "" {
		if err := b.declareAll(declared); err != nil {
			return nil, err
		}
	}
	list, err := c.s.p.texts.parse(c.text("@tsql"), c.s, b.types)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, nil
	}
	q, ok := list[0].(*tsql.Query)
	if !ok || q.Kind != tsql.Select || q.Assigns != nil {
		return nil, sqlerror.NotSupported("sp_describe_first_result_set of a text that does not begin with a SELECT")
	}
	columns, err := b.columnsOf(q)
	for i, column := range columns {
		d := dataTypeOf(sqlvalue.SpecOf(column.Type).Name)
		if d == nil {
			return nil, sqlerror.NotSupported("sp_describe_first_result_set with a column of type %v", column.Type)
		}
		m := d.measured(sqlvalue.SpecOf(column.Type))
		var name, collation any
		if column.Name != "" {
			name = column.Name
		}
		if d.isText() {
			collation = serverCollation
		}
		rows = append(rows, []any{false, i + 1, name, true, d.id, column.Type.String(), m.maxLength, m.precision, m.scale, collation,
			nil, nil, nil, nil, nil, nil, nil, nil, nil, false, false, false, nil, nil, nil, nil, nil, false, nil, false, false, false, nil, nil, nil,
			d.tdsType(), m.maxLength, nil, nil})
	}
	return rows, err
}

// declareAll declares the parameters of a text, "@a int, @b nvarchar(10)"; all are NULL.
func (b *batch) declareAll(declared string) error {
	list, err := b.s.p.texts.parse("DECLARE "+declared, b.s, nil)
	if err != nil {
		return err
	}
	for _, st := range list {
		declare, ok := st.(*tsql.Declare)
		if !ok {
			return sqlerror.NotSupported("The declaration of parameters '%s'", declared)
		}
		if err := b.declare(declare); err != nil {
			return err
		}
		for _, v := range declare.Vars {
			b.types = b.types.with(v.Name, b.vars[v.Name].typ)
		}
	}
	return nil
}

// columnsOf determines the columns of a query without sending a row. It refuses a column whose type depends on its
// values.
func (b *batch) columnsOf(q *tsql.Query) (columns []tds.Column, err error) {
	d, err := b.checkTables(&q.Inputs, q.Kind)
	if err != nil {
		return nil, err
	}
	args, err := b.bind(q.Inputs)
	if err != nil {
		return nil, err
	}
	err = b.reading(d, func(r *storage.Reader) (err error) {
		if err := b.s.fillViews(r, q.Tables); err != nil {
			return err
		}
		st, err := r.Query(q.SQL)
		if err != nil {
			return sqlerror.FromSQLite(err)
		}
		rows, err := st.Ask(context.Background(), args)
		if err != nil {
			return sqlerror.FromSQLite(err)
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		hints := q.Hints(rows.Columns())
		columns = b.columns(rows, hints, make([]driver.Value, len(hints)))
		declared, _ := rows.(driver.RowsColumnTypeDatabaseTypeName)
		for i, h := range hints {
			_, byColumn := sqlvalue.DeclaredType(declared.ColumnTypeDatabaseTypeName(i))
			if _, byText := sqlvalue.TypeOf(h.Type); !byText && !byColumn && b.vars[h.Variable] == nil {
				return sqlerror.NotSupported("sp_describe_first_result_set of column %d, whose type depends on its values", i+1)
			}
		}
		return nil
	})
	return columns, err
}

// tdsTypes are the TDS types by system_type_id. A type that cannot be NULL otherwise has the nullable form that this
// server sends.
var tdsTypes = map[int]int{48: 38, 52: 38, 56: 38, 127: 38, 104: 104, 62: 109, 59: 109, 60: 110, 122: 110, 61: 111, 58: 111, 106: 108, 108: 108}

// tdsType returns tds_type_id.
func (d *dataType) tdsType() int {
	if n, ok := tdsTypes[d.id]; ok {
		return n
	}
	return d.id
}
