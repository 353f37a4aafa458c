package boltfile

import (
	"context"
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
	ctx, cancel := context.WithCancel(t.Context())
	f := (&File{file: file}).newAhead(0, 100)
	for _, step := range []struct {
		done uint64
		want int64
	}{{0, aheadBy}, {50, aheadBy + size/2}, {50, aheadBy + size/2}, {100, size}} {
		if f.to(ctx, step.done, 100); f.at < step.want || f.at >= step.want+aheadPiece {
			t.Errorf("at %d of 100 it has read %d bytes, want %d", step.done, f.at, step.want)
		}
	}
	if f = (&File{file: file}).newAhead(90, 100); f.at < size/2 || f.at > size*9/10 {
		t.Errorf("it begins at %d for one who is at 90 of 100", f.at)
	}
	f = (&File{file: file}).newAhead(0, 100)
	cancel()
	if f.to(ctx, 0, 100); f.at != 0 {
		t.Errorf("it has read %d bytes for one who has given up", f.at)
	}
	ctx = t.Context()
	file.Close()
	if f.to(ctx, 0, 100); f.at != size {
		t.Errorf("it goes on at %d after an error, want it to give up", f.at)
	}
	if f = (&File{file: file}).newAhead(0, 100); f != nil {
		t.Errorf("got %+v for a closed file, want nil", f)
	}
	f.to(ctx, 0, 100)
}
