// Package config reads the configuration file of braid's servers: one YAML
// file, decoded strictly.
//
//	cfg, err := config.Load("/etc/braid/braid.yaml")
//	if err != nil {
//		fmt.Fprintln(os.Stderr, err) // every mistake, one a line
//	}
//
// An unknown key is an error that names the file, the line, the column and the
// nearest valid key; so is a value of the wrong type, a name that refers to
// nothing, a certificate that does not fit its key. All mistakes of a file are
// reported at once, as an Errors.
//
// The documentation of the types here is the reference of the file:
// docs/config.md is made of it, and of what Default returns. Every default
// stands in defaults.go.
//
// # Conventions
//
//   - Times are like 500ms, 30s, 1m30s or 7d, sizes like 512, 64KiB or 10MB.
//     0 stands for "no limit" where a field says so.
//   - A list of one may be written without brackets or dash.
//   - Names of files are relative to the directory of the configuration.
//   - Anchors and aliases of YAML may be used, merge keys ("<<") may not.
//
// # Limitations
//
// The package holds values only and knows nothing of who uses them: whether the
// system has a congestion control of that name, say, shows at the start.
// Config.At gives the position of a value for such errors.
package config
