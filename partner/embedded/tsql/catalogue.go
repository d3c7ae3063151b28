package tsql

// signature describes a T-SQL function: the number of its arguments, its
// function in SQLite, and the type of its value.
type signature struct {
	min, max int
	sql      string   // the SQLite function
	typ      TypeSpec // zero: see like
	like     int      // the type is that of this argument, counted from 1
}

var (
	intType      = TypeSpec{Name: "int"}
	bigintType   = TypeSpec{Name: "bigint"}
	smallintType = TypeSpec{Name: "smallint"}
	tinyintType  = TypeSpec{Name: "tinyint"}
	sysnameType  = TypeSpec{Name: "nvarchar", Length: 128}
	textType     = TypeSpec{Name: "nvarchar", Length: 4000}
	variantType  = TypeSpec{Name: "sql_variant"}
	datetimeType = TypeSpec{Name: "datetime"}
	preciseType  = TypeSpec{Name: "datetime2", Scale: 7}
	guidType     = TypeSpec{Name: "uniqueidentifier"}
	binaryType   = TypeSpec{Name: "varbinary", Length: 85}
)

// pureFunctions depend only on their arguments.
var pureFunctions = map[string]signature{
	"ISNULL":    {min: 2, max: 2, sql: "ifnull", like: 1},
	"COALESCE":  {min: 2, max: 100, sql: "coalesce", like: 1},
	"NULLIF":    {min: 2, max: 2, sql: "nullif", like: 1},
	"IIF":       {min: 3, max: 3, sql: "iif", like: 2},
	"ABS":       {min: 1, max: 1, sql: "abs", like: 1},
	"SIGN":      {min: 1, max: 1, sql: "sign", like: 1},
	"ASCII":     {min: 1, max: 1, sql: "unicode", typ: intType},
	"LEN":       {min: 1, max: 1, sql: "tsql_len", typ: intType},
	"LOWER":     {min: 1, max: 1, sql: "tsql_lower", typ: textType},
	"UPPER":     {min: 1, max: 1, sql: "tsql_upper", typ: textType},
	"LTRIM":     {min: 1, max: 1, sql: "ltrim", typ: textType},
	"RTRIM":     {min: 1, max: 1, sql: "rtrim", typ: textType},
	"LEFT":      {min: 2, max: 2, sql: "tsql_left"},
	"RIGHT":     {min: 2, max: 2, sql: "tsql_right"},
	"SUBSTRING": {min: 3, max: 3, sql: "tsql_substring"},
	"CHARINDEX": {min: 2, max: 3, sql: "tsql_charindex", typ: intType},
	"REPLACE":   {min: 3, max: 3, sql: "tsql_replace", typ: textType},
	"CONCAT":    {min: 2, max: 100, sql: "tsql_concat", typ: textType},
	"NEWID":     {min: 0, max: 0, sql: "tsql_newid", typ: guidType},
}

// dateFunctions have a date part, which is a plain word, as first argument. min
// and max count the other arguments.
var dateFunctions = map[string]signature{
	"DATEADD":      {min: 2, max: 2, sql: "tsql_dateadd", like: 2},
	"DATEDIFF":     {min: 2, max: 2, sql: "tsql_datediff", typ: intType},
	"DATEDIFF_BIG": {min: 2, max: 2, sql: "tsql_datediff_big", typ: bigintType},
	"DATEPART":     {min: 1, max: 1, sql: "tsql_datepart", typ: intType},
	"DATENAME":     {min: 1, max: 1, sql: "tsql_datename", typ: TypeSpec{Name: "nvarchar", Length: 30}},
}

// datePartFunctions are the DATEPART functions with their own names; the map's
// value is the date part.
var datePartFunctions = map[string]string{"YEAR": "year", "MONTH": "month", "DAY": "day"}

// aggregates are the aggregate functions of one argument.
var aggregates = map[string]signature{
	"COUNT":     {sql: "count", typ: intType},
	"COUNT_BIG": {sql: "count", typ: bigintType},
	"SUM":       {sql: "sum", like: 1},
	"MIN":       {sql: "min", like: 1},
	"MAX":       {sql: "max", like: 1},
	"AVG":       {sql: "avg", like: 1},
}

// systemFunctions depend on the session or server; see SystemCall.
var systemFunctions = map[string]signature{
	"GETUTCDATE":            {typ: datetimeType},
	"GETDATE":               {typ: datetimeType},
	"SYSUTCDATETIME":        {typ: preciseType},
	"SYSDATETIME":           {typ: preciseType},
	"DB_NAME":               {typ: sysnameType},
	"DB_ID":                 {typ: smallintType},
	"SCOPE_IDENTITY":        {typ: TypeSpec{Name: "decimal", Length: 38}},
	"ORIGINAL_LOGIN":        {typ: sysnameType},
	"SYSTEM_USER":           {typ: sysnameType},
	"SUSER_SNAME":           {max: 1, typ: sysnameType},
	"SUSER_NAME":            {max: 1, typ: sysnameType},
	"SUSER_SID":             {max: 1, typ: binaryType},
	"SUSER_ID":              {max: 1, typ: intType},
	"USER_NAME":             {max: 1, typ: sysnameType},
	"USER_ID":               {max: 1, typ: intType},
	"SCHEMA_NAME":           {max: 1, typ: sysnameType},
	"SCHEMA_ID":             {max: 1, typ: intType},
	"APP_NAME":              {typ: sysnameType},
	"HOST_NAME":             {typ: sysnameType},
	"HOST_ID":               {typ: TypeSpec{Name: "char", Length: 10}},
	"XACT_STATE":            {typ: smallintType},
	"TRIGGER_NESTLEVEL":     {typ: intType},
	"OBJECT_ID":             {min: 1, max: 2, typ: intType},
	"OBJECT_NAME":           {min: 1, max: 2, typ: sysnameType},
	"OBJECT_DEFINITION":     {min: 1, max: 1, typ: TypeSpec{Name: "nvarchar", Max: true}},
	"COL_LENGTH":            {min: 2, max: 2, typ: smallintType},
	"DATABASE_PRINCIPAL_ID": {max: 1, typ: intType},
	"HAS_PERMS_BY_NAME":     {min: 3, max: 3, typ: intType},
	"SERVERPROPERTY":        {min: 1, max: 1, typ: variantType},
	"CONNECTIONPROPERTY":    {min: 1, max: 1, typ: variantType},
	"IDENT_CURRENT":         {min: 1, max: 1, typ: TypeSpec{Name: "decimal", Length: 38}},
	"IDENT_SEED":            {min: 1, max: 1, typ: TypeSpec{Name: "decimal", Length: 38}},
	"IDENT_INCR":            {min: 1, max: 1, typ: TypeSpec{Name: "decimal", Length: 38}},
	"IS_SRVROLEMEMBER":      {min: 1, max: 2, typ: intType},
	"IS_MEMBER":             {min: 1, max: 1, typ: intType},
	"@@VERSION":             {typ: TypeSpec{Name: "nvarchar", Length: 300}},
	"@@SERVERNAME":          {typ: sysnameType},
	"@@SERVICENAME":         {typ: sysnameType},
	"@@LANGUAGE":            {typ: sysnameType},
	"@@LANGID":              {typ: smallintType},
	"@@SPID":                {typ: smallintType},
	"@@ROWCOUNT":            {typ: intType},
	"@@ERROR":               {typ: intType},
	"@@FETCH_STATUS":        {typ: intType},
	"ERROR_NUMBER":          {typ: intType},
	"ERROR_SEVERITY":        {typ: intType},
	"ERROR_STATE":           {typ: intType},
	"ERROR_LINE":            {typ: intType},
	"ERROR_MESSAGE":         {typ: textType},
	"ERROR_PROCEDURE":       {typ: sysnameType},
	"@@TRANCOUNT":           {typ: intType},
	"@@OPTIONS":             {typ: intType},
	"@@DATEFIRST":           {typ: tinyintType},
	"@@MAX_PRECISION":       {typ: tinyintType},
	"@@MAX_CONNECTIONS":     {typ: intType},
	"@@LOCK_TIMEOUT":        {typ: intType},
	"@@TEXTSIZE":            {typ: intType},
	"@@NESTLEVEL":           {typ: intType},
	"@@PROCID":              {typ: intType},
	"@@MICROSOFTVERSION":    {typ: intType},
	"@@IDENTITY":            {typ: TypeSpec{Name: "decimal", Length: 38}},
}
