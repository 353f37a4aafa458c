package httpapi

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience checks that a request waits as long as it may from when it
// begins to wait, and no longer than its client does.
func TestPatience(t *testing.T) {
	const wait = 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		ctx, end := newPatience(context.Background(), wait)
		time.Sleep(2 * wait)
		if err := ctx.Err(); err != nil {
			t.Errorf("before anybody waits: got %v, want nil", err)
		}
		start := time.Now()
		<-ctx.Done()
		if waited := time.Since(start); waited != wait || ctx.Err() != context.DeadlineExceeded {
			t.Errorf("got %v after %v, want %v after %v", ctx.Err(), waited, context.DeadlineExceeded, wait)
		}
		end()
	})
	synctest.Test(t, func(t *testing.T) {
		request, cancel := context.WithCancel(context.Background())
		ctx, end := newPatience(request, wait)
		done := ctx.Done()
		cancel()
		<-done
		if err := ctx.Err(); err != context.Canceled {
			t.Errorf("the client has gone: got %v, want %v", err, context.Canceled)
		}
		end()
	})
	synctest.Test(t, func(t *testing.T) {
		request, cancel := context.WithCancel(context.Background())
		ctx, end := newPatience(request, wait)
		cancel()
		if err := ctx.Err(); err != context.Canceled {
			t.Errorf("the client has gone, nobody waits: got %v, want %v", err, context.Canceled)
		}
		<-ctx.Done()
		end()
	})
}

// TestReadBody reads bodies whose length was told beforehand, rightly or not,
// and others.
func TestReadBody(t *testing.T) {
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
