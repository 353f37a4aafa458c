package httpapi

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/capycoin/capycoin"
)

// maxRemembered is how many who ask are remembered with their limits, about 200
// bytes each. Who asks as more of them gets past the limit of each, not past the
// total.
const maxRemembered = 1 << 16

// limits bounds how many requests are let in a minute: of each who asks, and of
// all. What is left to each is a bucket that holds as many as are allowed a minute
// and fills evenly.
type limits[K comparable] struct {
	each  int // a minute; below 0: no limit
	clock func() time.Time

	mu    sync.Mutex
	total *rate.Limiter // nil: no limit
	own   *simplelru.LRU[K, *rate.Limiter]
}

// newLimits makes the limits that the options of some names ask for; zero is the
// default of each.
func newLimits[K comparable](field string, each, zero, total int) (*limits[K], error) {
	if err := cmp.Or(checkLimit(field, &each, zero), checkLimit("SignUpsTotal", &total, defaultTotal)); err != nil {
		return nil, err
	}
	own, err := simplelru.NewLRU[K, *rate.Limiter](maxRemembered, nil)
	if err != nil {
		return nil, err
	}
	l := &limits[K]{each: each, clock: time.Now, own: own}
	if total > 0 {
		l.total = perMinute(total)
	}
	return l, nil
}

// checkLimit fills a limit in if it is zero.
func checkLimit(field string, value *int, zero int) error {
	if *value == 0 {
		*value = zero
	}
	if *value > MaxSignUps {
		return &capycoin.OptionError{Field: field, Value: *value, Allowed: fmt.Sprintf("1 to %d, 0 for the default, or less for no limit", MaxSignUps)}
	}
	return nil
}

func perMinute(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(n)/60, n) }

// take counts a request, and returns 0; or it does not, as there are too many,
// and returns after how long it would have counted. One that is refused by
// either limit is held against neither.
func (l *limits[K]) take(who K) time.Duration { return l.takeOf(who, l.total) }

// takeOwn is take for what nobody is to be able to keep others from: it is not held
// against the limit of all.
func (l *limits[K]) takeOwn(who K) time.Duration { return l.takeOf(who, nil) }

func (l *limits[K]) takeOf(who K, total *rate.Limiter) time.Duration {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var own *rate.Limiter
	if l.each > 0 {
		var known bool
		if own, known = l.own.Get(who); !known {
			own = perMinute(l.each)
			l.own.Add(who, own)
		}
	}
	wait := max(0, untilRoom(own, now), untilRoom(total, now))
	if wait == 0 {
		for _, limit := range []*rate.Limiter{own, total} {
			if limit != nil {
				limit.AllowN(now, 1)
			}
		}
	}
	return wait
}

// untilRoom returns how long it is until a limit has room for one; 0 or less if it
// has.
func untilRoom(limit *rate.Limiter, now time.Time) time.Duration {
	if limit == nil {
		return 0
	}
	return time.Duration((1 - limit.TokensAt(now)) / float64(limit.Limit()) * float64(time.Second))
}
