// Package config reads the configuration: a YAML file, environment variables,
// flags, .NET connection strings and web.config files. It is pure data: it reads
// the files that are named, makes no connections, and imports of this module only
// secretfile, sqlname and textfile.
//
// Flags override MIRRORSTATE_… variables, which override the file, which overrides the
// defaults. All three become settings: a key, its value, and the place where it was set.
// The keys are the fields of the struct Config, so every key can be set in all three ways. Each
// error names the place.
package config
