package httpapi

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience checks that a request waits as long as it may and little longer,
// whenever it begins to, and that those of a moment share a timer.
func TestPatience(t *testing.T) {
	const wait = 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		p := patience{wait: wait}
		made := make(map[context.Context]bool)
		var waiting sync.WaitGroup
		for range 1000 {
			ctx := p.begin()
			made[ctx] = true
			if err := ctx.Err(); err != nil {
				t.Fatalf("a request that begins now: %v", err)
			}
			start := time.Now()
			waiting.Go(func() {
				<-ctx.Done()
				if waited := time.Since(start); waited < wait || waited > wait*9/8 || ctx.Err() != context.DeadlineExceeded {
					t.Errorf("got %v after %v, want %v after %v to %v", ctx.Err(), waited, context.DeadlineExceeded, wait, wait*9/8)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		waiting.Wait()
		if len(made) > 50 {
			t.Errorf("1000 requests in 10 s had %d contexts, want about 40", len(made))
		}
	})
}

// TestReadBody reads bodies whose length was told beforehand, rightly or not,
// and others.
func TestReadBody(t *testing.T) {
	long := strings.Repeat("0123456789", 100_000)
	for _, tt := range []struct {
		name string
		told int64
		sent string
		want string // the body, or the error
	}{
		{"told", 5, "hello", "hello"},
		{"not told", -1, "hello", "hello"},
		{"shorter than told", 6, "hello", io.ErrUnexpectedEOF.Error()},
		{"nothing", 6, "", io.EOF.Error()},
		{"told, long", int64(len(long)), long, long},
		{"long, and shorter than told", int64(len(long)) + 1, long, io.ErrUnexpectedEOF.Error()},
		{"not told, too long", -1, "hello, you", "http: request body too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/account", strings.NewReader(tt.sent))
			r.ContentLength = tt.told
			x := &exchange{w: &recorder{ResponseWriter: httptest.NewRecorder()}, r: r}
			b, err := x.readBody(8)
			got := string(b)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
