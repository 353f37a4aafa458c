package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
)

// Values of headers that never change, which Set would make anew each time.
var (
	nosniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	noReferrer = []string{"no-referrer"}
	deny       = []string{"DENY"}
	sameOrigin = []string{"same-origin"}
	oneYear    = []string{"max-age=31536000"}

	// What is answered is data. A browser that is made to show it as a page runs
	// nothing of it, loads nothing, and shows it in nobody's frame.
	dataPolicy = []string{"default-src 'none'; frame-ancestors 'none'"}
	// The page for people has one style sheet, in the page itself.
	pagePolicy = []string{dataPolicy[0] + "; style-src '" + styleHash() + "'"}

	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
	typeText    = []string{"text/plain; charset=utf-8"}
	typeHTML    = []string{"text/html; charset=utf-8"}
	typeYAML    = []string{"application/yaml"}
)

// styleHash is what a Content-Security-Policy calls the style of the page.
func styleHash() string {
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(index)
	sum := sha256.Sum256(style[1])
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// secure sets the headers that every response has. Of a connection without TLS
// nobody can know whether there is TLS in front of it, so it promises none.
func (x *exchange) secure() {
	h := x.w.Header()
	x.ids[0] = x.id
	h["X-Request-Id"] = x.ids[:]
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = noStore
	h["Content-Security-Policy"] = dataPolicy
	h["Referrer-Policy"] = noReferrer
	h["X-Frame-Options"] = deny
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	if x.r.TLS != nil {
		h["Strict-Transport-Security"] = oneYear
	}
}

// longBody is from how many bytes on a body's length has to be told: net/http
// sends it in chunks otherwise. That of a shorter one it finds out itself, which
// spares the reply a ninth header: a map of up to eight is half the price, and
// net/http copies it.
const longBody = 2048
