package demo

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"time"
)

// fileName is what the server offers the file as. The extension tells the
// server its type.
const fileName = "file.bin"

// blockSize is how much of a file one seed gives.
const blockSize = 64 << 10

// content is a file system with one file of seeded random bytes, made as they
// are read, so that a demo of any size needs neither disk nor memory.
type content struct {
	seed uint64
	size int64
}

// Open implements fs.FS.
func (c content) Open(name string) (fs.File, error) {
	if name != fileName {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{content: c, have: -1}, nil
}

// sum gives the SHA-256 of the file, made from the seed and not from anything
// that travelled.
func (c content) sum() ([]byte, error) {
	h := sha256.New()
	_, err := io.Copy(struct{ hash.Hash }{h}, &file{content: c, have: -1})
	return h.Sum(nil), err
}

// block fills b with block number n.
func (c content) block(b *[blockSize]byte, n int64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], c.seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(n))
	copy(key[16:], "braid demo file.")
	// ChaCha8's Read never fails.
	_, _ = rand.NewChaCha8(key).Read(b[:])
}

// file is an open file of a content.
type file struct {
	content
	at   int64
	have int64 // the block in buf, -1: none
	buf  [blockSize]byte
}

func (f *file) Read(b []byte) (int, error) {
	if f.at >= f.size {
		return 0, io.EOF
	}
	if n := f.at / blockSize; n != f.have {
		f.block(&f.buf, n)
		f.have = n
	}
	from := f.at % blockSize
	n := copy(b, f.buf[from:min(blockSize, from+f.size-f.at)])
	f.at += int64(n)
	return n, nil
}

var errSeek = errors.New("demo: bad seek")

// Seek lets the server find the size, and serve ranges.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	case io.SeekStart:
	default:
		return 0, fmt.Errorf("%w: whence %d", errSeek, whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("%w: before the start", errSeek)
	}
	f.at = offset
	return offset, nil
}

func (f *file) Close() error               { return nil }
func (f *file) Stat() (fs.FileInfo, error) { return fileInfo{f.size}, nil }

// fileInfo describes the file.
type fileInfo struct{ size int64 }

func (i fileInfo) Name() string     { return fileName }
func (i fileInfo) Size() int64      { return i.size }
func (fileInfo) Mode() fs.FileMode  { return 0o444 }
func (fileInfo) ModTime() time.Time { return time.Time{} }
func (fileInfo) IsDir() bool        { return false }
func (fileInfo) Sys() any           { return nil }
