//go:build unix

package serve

import (
	"os"
	"os/signal"
	"syscall"
)

// onHangup calls fn whenever the process gets SIGHUP, which then does not end
// it, until stop is called.
func onHangup(fn func()) (stop func()) {
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for range hangups {
			fn()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-ended
	}
}
