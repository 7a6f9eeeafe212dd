//go:build !unix

package get

import "os"

func lock(*os.File) error { return nil }
