package httpapi

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/capycoin/capycoin"
)

// A browser lets the scripts of a page read what another origin answers only if
// that allows it (CORS). Here pages are allowed that were named, one by one: a
// token is needed either way, but a page that anybody put up could make its
// visitors' browsers, which may be where nobody else gets at the server, open
// accounts and pay from them. There is no "*", and no cookies to allow.

var originForm = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://([a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:([1-9][0-9]{0,4}))?$`)

const originAllowed = "scheme://host or scheme://host:port as a browser sends it, such as https://app.example: in lower case, without path and default port"

// ValidOrigin says whether a string is an origin as a browser sends it, of which
// Options.CORSOrigins has some.
func ValidOrigin(s string) bool {
	m := originForm.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	port, _ := strconv.Atoi(m[5]) // 0: none
	return port < 1<<16 && !(m[1] == "http" && port == 80) && !(m[1] == "https" && port == 443)
}

// namedOrigins returns, for each origin, what an answer to it has as a header.
func namedOrigins(names []string) (map[string][]string, error) {
	origins := make(map[string][]string)
	for _, name := range names {
		if !ValidOrigin(name) {
			return nil, &capycoin.OptionError{Field: "CORSOrigins", Value: name, Allowed: originAllowed}
		}
		origins[name] = []string{name}
	}
	return origins, nil
}

var exposed = []string{"X-Request-Id, Idempotency-Replayed, Retry-After, Link"}

// allowOrigin sets the headers by which a browser lets a named page read the
// answer. All answers vary by the origin then, also those to others.
func (x *exchange) allowOrigin() {
	if len(x.origins) == 0 || x.trusted() {
		return
	}
	h := x.w.Header()
	h.Add("Vary", "Origin")
	if asked := x.r.Header["Origin"]; len(asked) == 1 {
		x.origin = x.origins[asked[0]]
	}
	if x.origin != nil {
		h["Access-Control-Allow-Origin"] = x.origin
		h["Access-Control-Expose-Headers"] = exposed
	}
}

// preflight says whether a browser asks, for a named page, what that may send.
func (x *exchange) preflight() bool {
	return x.origin != nil && x.r.Method == http.MethodOptions && x.r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight says what a page may send to a path. Browsers keep it for as
// long as they will, at most two hours.
func (x *exchange) answerPreflight(routes []*route) error {
	h := x.w.Header()
	h.Set("Access-Control-Allow-Methods", allowed(routes))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
	h.Set("Access-Control-Max-Age", "7200")
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
