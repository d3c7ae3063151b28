// Package config is what an operator may say: a YAML file, the environment, and
// what a .NET connection string means. Pure data: it opens nothing and imports
// nothing else of this module.
//
// Precedence rises from the defaults over the file and MIRRORSTATE_… variables
// to the flags, which the commands put on top.
package config
