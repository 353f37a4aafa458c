//go:build !unix

package serve

// withUmask calls fn: here the folder says who may open the socket.
func withUmask(_ int, fn func() error) error { return fn() }
