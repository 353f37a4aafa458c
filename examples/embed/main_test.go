package main

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"
)

// TestRun: the whole story, as it is printed, with points that came once for
// the order that was sent twice.
func TestRun(t *testing.T) {
	day := time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)
	var out bytes.Buffer
	err := run(t.Context(), filepath.Join(t.TempDir(), "points.db"), func() time.Time { return day }, &out)
	if err != nil {
		t.Fatal(err)
	}
	const want = `order 1001: Ada has 12 points
order 1002: Ada has 51 points
order 1002: Ada has 51 points
a mug: 9 points are missing
a coffee: Ada has 21 points

DATE        FOR         POINTS  LEFT
2026-03-01  order-1001  +12     12
2026-03-01  order-1002  +39     51
2026-03-01  coffee-1    -30     21
`
	if got := out.String(); got != want {
		t.Errorf("run printed\n%s\nwant\n%s", got, want)
	}
}

// TestReopen: a member's points are there when the service starts again, and
// the order that was counted stays counted.
func TestReopen(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "points.db")
	shop, err := openPoints(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	member, err := shop.SignUp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shop.Earn(ctx, member, "1001", 700); err != nil {
		t.Fatal(err)
	}
	if err := shop.Close(); err != nil {
		t.Fatal(err)
	}

	shop, err = openPoints(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	for _, cents := range []int64{700, 799, 99} { // 99 cents earn nothing
		got, err := shop.Earn(ctx, member, "1001", cents)
		if err != nil || got != 7 {
			t.Errorf("after order 1001 of %d cents: got %d, %v, want 7 points", cents, got, err)
		}
	}
}
