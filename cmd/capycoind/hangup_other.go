//go:build !unix

package main

// onHangup does nothing: here is no SIGHUP.
func onHangup(func()) (stop func()) { return func() {} }
