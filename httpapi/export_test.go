package httpapi

import (
	"context"
	"time"
)

// Routes lists the methods and paths that a side's mux was made from.
func Routes(side string) (routes [][2]string) {
	rs := publicRoutes
	if side == "trusted" {
		rs = trustedRoutes
	}
	for i := range rs {
		routes = append(routes, [2]string{rs[i].method, rs[i].name()})
	}
	return routes
}

// WaitWith makes what requests wait with be a context, until the function that
// it returns is called.
func (a *API) WaitWith(ctx context.Context) (restore func()) {
	p := &a.patience
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared, p.until = ctx, time.Now().Add(time.Hour)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.until = time.Time{}
	}
}
