package boltfile

import (
	"context"
	"os"
)

// ahead reads a file ahead of whoever goes through its pages about in the
// order in which they were written. bbolt maps the file for access at random, so
// the system fetches single pages of what is not in memory, and each has to be
// waited for: a tenth of the speed of the disk, or less.
type ahead struct {
	file *os.File
	size int64
	at   int64 // read up to there
	buf  []byte
}

const (
	// aheadBy is how far ahead it reads: pages are not quite in order.
	aheadBy    = 64 << 20
	aheadPiece = 1 << 20
)

// ReadAhead is for somebody who has gone so much of the way, and tells what it returns how
// much of it he has gone since. What can't be read is left to him to find.
func (s *File) ReadAhead(done, total uint64) func(ctx context.Context, done, total uint64) {
	return s.newAhead(done, total).to
}

// newAhead returns nil where the size of the file can't be told.
func (s *File) newAhead(done, total uint64) *ahead {
	info, err := s.file.Stat()
	if err != nil {
		return nil
	}
	f := &ahead{file: s.file, size: info.Size(), buf: make([]byte, aheadPiece)}
	f.at = max(0, f.offset(done, total)-aheadBy)
	return f
}

// offset is about where somebody is who has gone so much of the way.
func (f *ahead) offset(done, total uint64) int64 {
	return int64(float64(f.size) * (float64(done) / float64(total)))
}

// to is told how much of the way has been gone. f may be nil.
func (f *ahead) to(ctx context.Context, done, total uint64) {
	if f == nil {
		return
	}
	end := min(f.size, f.offset(done, total)+aheadBy)
	for f.at < end && ctx.Err() == nil {
		n, err := f.file.ReadAt(f.buf, f.at)
		if err != nil {
			f.at = f.size
			return
		}
		f.at += int64(n)
	}
}
