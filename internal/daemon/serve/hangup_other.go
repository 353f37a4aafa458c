//go:build !unix

package serve

// onHangup does nothing: here is no SIGHUP.
func onHangup(func()) (stop func()) { return func() {} }
