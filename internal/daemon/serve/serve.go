// Package serve serves a ledger: the public API on a TCP address, with TLS or without,
// and the trusted one on a Unix socket. [Run] is all of it, from the first listener to
// the end of the last request; the rest is exported for what is like a server in part.
//
// It makes sure of what package httpapi can't: that the socket is this user's from its
// first moment on, of one server, and that the process of who calls is known where the
// system tells; that slow clients are cut off and idle ones make room, so that there
// are no more connections than files; that the certificate is read again on a SIGHUP;
// that requests are answered before the ledger is closed; and that the stipend of each
// day is paid if that is asked for.
//
// It knows no file, flag or cobra command: Options.Open says what a ledger is kept
// in. Only what it says of an error names flags, those of capycoind serve. A command
// that starts a server may call it, one server a process: it changes the umask for a
// moment and takes the SIGHUP. Its lock is that of the connections, conns.mu, under which
// connections are closed and nothing is logged; between processes, a file beside the socket
// is locked while the socket is made.
package serve

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

// Options are what a server is, and what it serves.
type Options struct {
	// Addr is the TCP address of the public API.
	Addr string
	// Certificate is what the public API shows. Nil: it has no TLS.
	Certificate *Certificate
	// MaxConns is how many connections the public API has at once, 1 to [MostConns],
	// or fewer where the process can't open so many files.
	MaxConns int

	// Socket is the path of the trusted API; see [CheckSocketPath].
	Socket string
	// OpenSocket lets every user connect to it: API.AllowUIDs says then who is
	// answered. Otherwise its mode lets this user connect, and root.
	OpenSocket bool

	// Open opens the ledger. It is called when both addresses are this server's, as
	// it may make the ledger, and settle its supply with that. Run closes it.
	Open func() (*capycoin.Ledger, error)
	// DB is what the log calls the ledger.
	DB string
	// BcryptCost is the cost of the hashes of new tokens.
	BcryptCost int
	// API is for both sides. Run sets its Logger.
	API httpapi.Options
	// PayStipend has the stipend of each day paid soon after the day has begun, by the
	// rules in API.
	PayStipend bool
	// Logger gets what happens, and a line for each request.
	Logger *slog.Logger
}

// How long connections may take. A client that is slower is cut off.
const (
	HeaderTimeout  = 5 * time.Second
	ReadTimeout    = 30 * time.Second
	WriteTimeout   = 45 * time.Second // from when the headers were read: what a slow body leaves is for the answer
	IdleTimeout    = 2 * time.Minute
	TrustedTimeout = 2 * time.Minute  // an audit extends it line by line
	MaxHeader      = 32 << 10         // bytes
	GraceTimeout   = 10 * time.Second // at the end of the server, of both sides together
)

// Run serves a ledger until ctx ends, a listener fails, or a fault stops the ledger. A
// SIGHUP has it read the certificate again. It returns nil only after an orderly end,
// when all requests that were begun are answered or cut off, and the ledger is closed.
func Run(ctx context.Context, o *Options) (err error) {
	defer onHangup(func() { o.Certificate.reread(o.Logger) })()

	// Before the file, which may be made: its supply is settled then.
	unix, err := listenUnix(o.Socket, o.OpenSocket)
	if err != nil {
		return err
	}
	defer unix.Close()
	tcp, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return cli.Hint(err, "choose another address with --listen")
	}
	defer tcp.Close()

	led, err := o.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close(), stopCause(led.Err())) }()
	has, err := led.Supply(ctx)
	if err == nil {
		err = CheckStipendCap(o.API.Stipend, has.Supply)
	}
	if err != nil {
		return err
	}
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: o.BcryptCost})
	if err != nil {
		return err
	}
	options := o.API
	options.Logger = o.Logger
	api, err := httpapi.New(led, iss, &options)
	if err != nil {
		return err
	}
	scheme := "http"
	if o.Certificate != nil {
		tcp, scheme = o.Certificate.listen(tcp), "https"
	} else {
		warnPlain(tcp.Addr(), o.Logger)
	}
	if o.PayStipend {
		ctx, cancel := context.WithCancel(ctx)
		payer := &poolPayer{led: led, rules: o.API.Stipend, logger: o.Logger}
		var ended sync.WaitGroup
		ended.Go(func() { payer.run(ctx) })
		// Before the ledger is closed.
		defer func() { cancel(); ended.Wait() }()
	}
	o.Logger.Info("serving", "url", scheme+"://"+tcp.Addr().String(), "socket", o.Socket, "db", o.DB)
	return serveLedger(ctx, led, api, tcp, unix, o.MaxConns, o.Logger)
}

// serveLedger serves an open ledger until a signal or a fault ends that.
func serveLedger(ctx context.Context, led *capycoin.Ledger, api *httpapi.API, tcp, unix net.Listener, maxConns int, logger *slog.Logger) (err error) {
	errorLog := log.New(serverLog{logger}, "", 0)
	public := PublicServer(api.Public(), errorLog)
	trusted := TrustedServer(api.Trusted(), errorLog)
	most, mostTrusted := connLimits(maxConns, fileLimit())
	LimitConns(public, most, logger)
	LimitConns(trusted, mostTrusted, logger)
	failed := make(chan error, 2)
	go func() { failed <- public.Serve(tcp) }()
	go func() { failed <- trusted.Serve(unix) }()

	select {
	case <-ctx.Done(): // a signal
		logger.Info("stopping")
	case err = <-failed:
	case <-led.Stopped():
	}
	api.Drain()
	shutDown(public, trusted)
	return err
}

// PublicServer is the server of the public API. It answers OPTIONS * itself as
// little as any other request: the handler does.
func PublicServer(h http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: errorLog, MaxHeaderBytes: MaxHeader, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: HeaderTimeout, ReadTimeout: ReadTimeout, WriteTimeout: WriteTimeout, IdleTimeout: IdleTimeout,
	}
}

// TrustedServer is the server of the trusted API.
func TrustedServer(h http.Handler, errorLog *log.Logger) *http.Server {
	srv := PublicServer(h, errorLog)
	srv.WriteTimeout, srv.ConnContext = TrustedTimeout, withPeer
	return srv
}

// stopCause returns why a fault stopped the ledger, going by its Err, nil if none
// did, also if that came when the server was about to end anyway: what it
// answered then must not look like an orderly end.
func stopCause(err error) error {
	switch {
	case errors.Is(err, capycoin.ErrStopped) && errors.Is(err, capycoin.ErrCorrupt):
		return cli.Hint(err, "look at the disk, and run: capycoind repair; it names what is damaged, and changes nothing that is lost without being told")
	case errors.Is(err, capycoin.ErrStopped):
		return cli.Hint(err, "start the server again; what it finds in the file is what happened")
	}
	return nil
}

// serverLog takes what the HTTP servers have to say. Clients that can't speak
// TLS are no news; others, such as too many open files, are.
type serverLog struct{ logger *slog.Logger }

func (l serverLog) Write(b []byte) (int, error) {
	level, text := slog.LevelWarn, strings.TrimSpace(string(b))
	if strings.HasPrefix(text, "http: TLS handshake error") {
		level = slog.LevelDebug
	}
	l.logger.Log(context.Background(), level, "http server", "message", text)
	return len(b), nil
}

// shutDown stops accepting, lets requests end that were begun, and cuts off
// those that do not.
func shutDown(servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), GraceTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, srv := range servers {
		wg.Go(func() {
			if srv.Shutdown(ctx) != nil {
				srv.Close()
			}
		})
	}
	wg.Wait()
}
