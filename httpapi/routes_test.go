package httpapi_test

import (
	"testing"

	"github.com/capycoin/capycoin/httpapi"
)

// route is a method and a path as openapi.yaml has it.
type route struct{ method, path string }

// routesOf lists the routes of a side, from the table its mux is made from.
func routesOf(t *testing.T, side string) (routes []route) {
	t.Helper()
	for _, r := range httpapi.Routes(side) {
		routes = append(routes, route{r[0], r[1]})
	}
	if len(routes) == 0 {
		t.Fatalf("side %s has no routes", side)
	}
	return routes
}
