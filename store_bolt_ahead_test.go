package capycoin

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFileAhead(t *testing.T) {
	const size = 3 * aheadBy
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := (&boltStore{file: file}).ahead()
	for _, step := range []struct {
		done uint64
		want int64
	}{{0, aheadBy}, {50, aheadBy + size/2}, {50, aheadBy + size/2}, {100, size}} {
		if f.to(step.done, 100); f.at < step.want || f.at >= step.want+aheadPiece {
			t.Errorf("at %d of 100 it has read %d bytes, want %d", step.done, f.at, step.want)
		}
	}
	f = (&boltStore{file: file}).ahead()
	file.Close()
	if f.to(0, 100); f.at != size {
		t.Errorf("it goes on at %d after an error, want it to give up", f.at)
	}
	if f = (&boltStore{file: file}).ahead(); f != nil {
		t.Errorf("got %+v for a closed file, want nil", f)
	}
	f.to(0, 100)
}
