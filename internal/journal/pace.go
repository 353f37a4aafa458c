package journal

import (
	"context"
	"time"
)

// Work is what goes on in the background: it rests for as long as it was done.
type Work struct{ began time.Time }

// restFrom is how much has been done before there is a rest: a timer may be late by a
// millisecond.
const restFrom = 5 * time.Millisecond

// StartWork begins work.
func StartWork() Work { return Work{time.Now()} }

// Rest is called now and then, and rests if there is enough to rest from.
func (w *Work) Rest(ctx context.Context) error {
	done := time.Since(w.began)
	if done < restFrom {
		return ctx.Err()
	}
	err := Pause(ctx, done)
	w.began = time.Now()
	return err
}

// Pause waits, unless ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
