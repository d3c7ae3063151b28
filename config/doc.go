// Package config is what an operator may say: a YAML file, the environment, the
// flags, and what a .NET connection string or web.config means. Pure data: it reads
// the files it is told of, connects to nothing, and imports nothing else of this module but
// textfile, which reads texts.
//
// Precedence rises from the defaults over the file and the MIRRORSTATE_… variables to
// the flags. All three come as settings, a key with its value and where it was said, and
// go the same way: the keys are those of the struct Config, so that a key that is there
// is known to all three, and whatever is refused is refused with its place.
package config
