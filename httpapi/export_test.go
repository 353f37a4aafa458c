package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
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

// SetSignUpClock makes the limits of sign-up and of further tokens go by a clock.
func (a *API) SetSignUpClock(clock func() time.Time) { a.limits.clock, a.issues.clock = clock, clock }

// TakeIssue is asked for each request for a further token: 0 if there is room.
func (a *API) TakeIssue(account uuid.UUID) time.Duration { return a.issues.take(account) }

// IssueAccounts is how many accounts' limits are remembered.
func (a *API) IssueAccounts() int { return a.issues.own.Len() }

// TakeSignUp is asked for each request to open an account: 0 if there is room.
func (a *API) TakeSignUp(r *http.Request) time.Duration { return a.limits.take(a.limits.client(r)) }

// SignUpClient is whom a request is counted for.
func (a *API) SignUpClient(r *http.Request) string {
	network := a.limits.client(r)
	if !network.IsValid() {
		return "none"
	}
	return network.String()
}

// SignUpAddresses is how many addresses' limits are remembered.
func (a *API) SignUpAddresses() int { return a.limits.own.Len() }

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
