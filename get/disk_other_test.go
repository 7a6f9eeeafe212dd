//go:build !linux

package get

import "errors"

func smallDisk(string, int) (mount func() error, unmount func()) {
	return func() error { return errors.New("not Linux") }, func() {}
}

func growDisk(string, int) error { return errors.New("not Linux") }
