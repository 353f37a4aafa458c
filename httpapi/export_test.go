package httpapi

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
