// Package buildinfo tells which version of the programs this is.
package buildinfo

import "runtime/debug"

// Version is the module's version as the go command recorded it, "(devel)" for a build from a work tree.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
