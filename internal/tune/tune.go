// Package tune has settings of a ledger that are no options of the library: tests make
// sweeps small and frequent with them, and have less patience with a witness.
//
// They come with the context that a ledger is opened with, so that no package has a
// variable for them and tests may run beside each other. It knows nothing of ledgers; the
// library reads them, only tests give them. It has no locks.
package tune

import (
	"context"
	"time"
)

// Options are the settings. The zero value of each is what the rooms have by themselves.
type Options struct {
	// FoldLag is how many records may be unfolded before a sweep begins.
	FoldLag uint64
	// FoldSlice is the fewest accounts that go with a commit.
	FoldSlice int
	// FoldAhead is how many records of a commit are worth a goroutine that folds.
	FoldAhead int
	// WitnessEvery is how often the witness is brought up to date.
	WitnessEvery time.Duration
}

type key struct{}

// With returns a context with settings.
func With(ctx context.Context, o Options) context.Context { return context.WithValue(ctx, key{}, o) }

// From returns the settings of a context.
func From(ctx context.Context) Options {
	o, _ := ctx.Value(key{}).(Options)
	return o
}
