package capycoin

import (
	"context"
	"time"
)

// work is what goes on in the background: it rests for as long as it was done.
type work struct{ began time.Time }

// restFrom is how much has been done before there is a rest: a timer may be late by a
// millisecond.
const restFrom = 5 * time.Millisecond

func startWork() work { return work{time.Now()} }

// rest is called now and then, and rests if there is enough to rest from.
func (w *work) rest(ctx context.Context) error {
	done := time.Since(w.began)
	if done < restFrom {
		return ctx.Err()
	}
	err := pause(ctx, done)
	w.began = time.Now()
	return err
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
