package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"
)

// The profiles of net/http/pprof, for "go tool pprof". That package itself
// would add them to http.DefaultServeMux of whoever imports this one, which
// may be what they show the world.

func serveProfiles(x *exchange) error {
	var b strings.Builder
	b.WriteString("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Profiles</title><h1>Profiles</h1><ul>\n")
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(&b, "<li><a href=\"%s?debug=1\">%[1]s</a> (%d)\n", p.Name(), p.Count())
	}
	b.WriteString("<li><a href=\"cmdline\">cmdline</a>\n" +
		"<li>profile?seconds=30: where the processor's time goes\n<li>trace?seconds=1: what happens when\n</ul></html>\n")
	x.send(http.StatusOK, typeHTML, []byte(b.String()))
	return nil
}

func serveProfile(x *exchange) error {
	query := x.r.URL.Query()
	name := x.r.PathValue("profile")
	switch name {
	case "cmdline":
		x.send(http.StatusOK, typeText, []byte(strings.Join(os.Args, "\x00")))
		return nil
	case "profile":
		return x.record(query.Get("seconds"), 30, func() error { return pprof.StartCPUProfile(x.w) }, pprof.StopCPUProfile)
	case "trace":
		return x.record(query.Get("seconds"), 1, func() error { return trace.Start(x.w) }, trace.Stop)
	}
	p := pprof.Lookup(name)
	if p == nil {
		return errNoRoute
	}
	debug := 0
	if s := query.Get("debug"); s != "" {
		var err error
		if debug, err = strconv.Atoi(s); err != nil || debug < 0 || debug > 2 {
			return hasToBe("debug", "0, 1 or 2")
		}
	}
	contentType := "application/octet-stream"
	if debug > 0 {
		contentType = "text/plain; charset=utf-8"
	}
	x.w.Header().Set("Content-Type", contentType)
	return p.WriteTo(x.w, debug)
}

// record lets something write to the reply for some seconds.
func (x *exchange) record(s string, seconds int, start func() error, stop func()) error {
	if s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil || seconds < 1 || seconds > 300 {
			return hasToBe("seconds", "a whole number, 1 to 300")
		}
	}
	took := time.Duration(seconds) * time.Second
	http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(took + auditWrite)) // where there is one to set
	x.w.Header().Set("Content-Type", "application/octet-stream")
	if err := start(); err != nil {
		return badForm("profile", "Another one is being recorded.")
	}
	defer stop()
	ctx, cancel := context.WithTimeout(x.r.Context(), took)
	defer cancel()
	<-ctx.Done()
	return nil
}
