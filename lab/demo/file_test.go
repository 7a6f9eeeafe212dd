package demo

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/iotest"
)

func open(t *testing.T, c content) fs.File {
	t.Helper()
	f, err := c.Open(fileName)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFile(t *testing.T) {
	const size = 3*blockSize + 17
	c := content{seed: 4, size: size}
	whole, err := io.ReadAll(open(t, c))
	if err != nil || len(whole) != size {
		t.Fatalf("%d bytes, %v, want %d", len(whole), err, size)
	}
	if err := iotest.TestReader(open(t, c), whole); err != nil {
		t.Error(err)
	}
	want := sha256.Sum256(whole)
	if got, err := c.sum(); err != nil || !bytes.Equal(got, want[:]) {
		t.Errorf("sum = %x, %v, want %x", got, err, want)
	}
	if bytes.Equal(whole[:blockSize], whole[blockSize:2*blockSize]) {
		t.Error("blocks repeat")
	}
	if other, _ := (content{seed: 5, size: size}).sum(); bytes.Equal(other, want[:]) {
		t.Error("two seeds make one file")
	}
	if _, err := c.Open("other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another name: %v, want it not to exist", err)
	}
	if _, err := (&file{content: c}).Seek(-1, io.SeekStart); err == nil {
		t.Error("seek before the start succeeds")
	}
}
