package tsql

import (
	"database/sql/driver"
	"fmt"
	"sync"

	"modernc.org/sqlite"
)

// RegisterFunctions registers the SQLite functions that the translated SQL calls
// (tsql_…) with modernc.org/sqlite, for every connection opened afterwards under the
// driver name "sqlite". It registers them once; every call returns the result of that.
func RegisterFunctions() error { return registerOnce() }

// registerOnce is the package's only state, because the driver's registry is global
// too and refuses a second registration.
var registerOnce = sync.OnceValue(func() error {
	for name, f := range sqlFunctions {
		register := sqlite.RegisterDeterministicScalarFunction
		if volatile[name] {
			register = sqlite.RegisterScalarFunction
		}
		if err := register(name, int32(f.args), f.wrapped()); err != nil {
			return fmt.Errorf("register SQLite function %s: %w", name, err)
		}
	}
	if err := sqlite.RegisterCollationUtf8(Collation, Collate); err != nil {
		return fmt.Errorf("register the SQLite collation %s: %w", Collation, err)
	}
	if err := registerCaller(); err != nil {
		return fmt.Errorf("register the SQLite function tsql_call: %w", err)
	}
	return registerAggregates()
})

// volatile are the functions whose value does not depend on their arguments alone.
var volatile = map[string]bool{"tsql_newid": true, "tsql_clock": true, "tsql_raise": true}

// sqlFunction is a function for SQLite. args is -1 if their number varies (the parser
// has checked it). With strict set, the value is NULL if one argument is NULL.
type sqlFunction struct {
	args   int
	strict bool
	call   func(args []driver.Value) (driver.Value, *Error)
}

// wrapped returns f in the form that the driver needs.
func (f sqlFunction) wrapped() func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	return func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if f.strict {
			for _, a := range args {
				if a == nil {
					return nil, nil
				}
			}
		}
		value, err := f.call(args)
		if err != nil {
			return nil, err.asText()
		}
		return value, nil
	}
}

// sqlFunctions has every function that translated SQL may call.
var sqlFunctions = map[string]sqlFunction{
	"tsql_plus":         {2, true, plus},
	"tsql_minus":        {2, true, minus},
	"tsql_div":          {2, true, divide},
	"tsql_mod":          {2, true, modulo},
	"tsql_decimal":      {6, true, decimalArithmetic},
	"tsql_fdiv":         {2, true, divideFloats},
	"tsql_xor":          {2, true, exclusiveOr},
	"tsql_rows":         {1, false, rowLimit},
	"tsql_like":         {-1, true, likeFunction},
	"tsql_as":           {2, true, asSample},
	"tsql_object":       {1, true, wholeName},
	"tsql_type":         {1, true, typeName},
	"tsql_len":          {1, true, length},
	"tsql_lower":        {1, true, lower},
	"tsql_upper":        {1, true, upper},
	"tsql_left":         {2, true, left},
	"tsql_right":        {2, true, right},
	"tsql_substring":    {3, true, substring},
	"tsql_charindex":    {-1, true, charIndex},
	"tsql_replace":      {3, true, replace},
	"tsql_concat":       {-1, false, concat},
	"tsql_newid":        {0, false, newID},
	"tsql_datalength":   {2, true, dataLength},
	"tsql_dateadd":      {3, true, dateAdd},
	"tsql_instant":      {1, true, instant},
	"tsql_trimmed":      {1, true, trimmed},
	"tsql_precise":      {1, true, precise},
	"tsql_datediff":     {3, true, dateDiff},
	"tsql_datediff_big": {3, true, dateDiffBig},
	"tsql_datepart":     {2, true, datePart},
	"tsql_convert":      {6, true, convertFunction},
	"tsql_try_convert":  {6, true, tryConvert},
	"tsql_store":        {6, true, store},
	"tsql_raise":        {3, true, raiseFunction},
	"tsql_clock":        {1, true, clockFunction},
	"tsql_depth":        {2, true, depthFunction},
}
