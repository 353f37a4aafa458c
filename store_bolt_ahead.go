package capycoin

import "os"

// fileAhead reads a file ahead of whoever goes through its pages about in the
// order in which they were written. bbolt maps the file for access at random, so
// the system fetches single pages of what is not in memory, and each has to be
// waited for: a tenth of the speed of the disk, or less.
type fileAhead struct {
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

// ahead returns nil where the size of the file can't be told.
func (s *boltStore) ahead() *fileAhead {
	info, err := s.file.Stat()
	if err != nil {
		return nil
	}
	return &fileAhead{file: s.file, size: info.Size(), buf: make([]byte, aheadPiece)}
}

// to is told how much of its way the other one has gone. What can't be read is
// left to that one to find. f may be nil.
func (f *fileAhead) to(done, total uint64) {
	if f == nil {
		return
	}
	end := min(f.size, int64(float64(f.size)*(float64(done)/float64(total)))+aheadBy)
	for f.at < end {
		n, err := f.file.ReadAt(f.buf, f.at)
		if err != nil {
			f.at = f.size
			return
		}
		f.at += int64(n)
	}
}
