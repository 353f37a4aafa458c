package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// serveFlags are the flags of the server alone.
type serveFlags struct {
	listen          string
	supply          string
	tlsCert, tlsKey string
	log, logLevel   string
	bcryptCost      int
}

func newServe(s *settings) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the ledger (what capycoind does without a command)",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd, s, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "localhost:8000", "the `address` of the public API")
	flags.StringVar(&f.supply, "supply", "", "how many `coins` the ledger has (default: the file's; 100000 for a new one)")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "certificate chain for the public API, a PEM `file`")
	flags.StringVar(&f.tlsKey, "tls-key", "", "its private key, a PEM `file`")
	flags.StringVar(&f.log, "log", "text", "how log lines look: text or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.IntVar(&f.bcryptCost, "bcrypt-cost", capycoin.DefaultBcryptCost, "the cost of the hashes of new tokens, 4 to 14")
	return cmd
}

// How long connections may take. A client that is slower is cut off.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	trustedTimeout = 2 * time.Minute // an audit extends it line by line
	maxHeader      = 32 << 10        // bytes
	graceTimeout   = 10 * time.Second
)

func serve(cmd *cobra.Command, s *settings, f *serveFlags) (err error) {
	logger, err := newLogger(cmd, f)
	if err != nil {
		return err
	}
	supply, err := parseSupply(f.supply)
	if err != nil {
		return err
	}
	tlsConfig, err := loadTLS(f)
	if err != nil {
		return err
	}
	if f.bcryptCost < 4 || f.bcryptCost > 14 {
		return fmt.Errorf("--bcrypt-cost is %d; it has to be 4 to 14", f.bcryptCost)
	}
	if err := checkListen(f.listen); err != nil {
		return err
	}
	if err := checkSocketPath(s.socketPath()); err != nil {
		return err
	}

	// Before the file, which may be made: its supply is settled then.
	unix, err := listenUnix(s.socketPath())
	if err != nil {
		return err
	}
	defer unix.Close()
	tcp, err := net.Listen("tcp", f.listen)
	if err != nil {
		return hint(err, "choose another address with --listen")
	}
	defer tcp.Close()

	led, err := capycoin.Open(s.db, &capycoin.Options{Supply: supply, Logger: logger})
	if err != nil {
		return openError(err)
	}
	defer func() { err = errors.Join(err, led.Close(), stopCause(led)) }()
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: f.bcryptCost})
	if err != nil {
		return err
	}
	api, err := httpapi.New(led, iss, &httpapi.Options{Logger: logger})
	if err != nil {
		return err
	}
	scheme := "http"
	if tlsConfig != nil {
		tcp, scheme = tls.NewListener(tcp, tlsConfig), "https"
	}
	logger.Info("serving", "url", scheme+"://"+tcp.Addr().String(), "socket", s.socketPath(), "db", s.db)
	return serveLedger(cmd, led, api, tcp, unix, logger)
}

// serveLedger serves an open ledger until a signal or a fault ends that.
func serveLedger(cmd *cobra.Command, led *capycoin.Ledger, api *httpapi.API, tcp, unix net.Listener, logger *slog.Logger) (err error) {
	errorLog := log.New(serverLog{logger}, "", 0)
	public := publicServer(api.Public(), errorLog)
	trusted := &http.Server{
		Handler: api.Trusted(), ErrorLog: errorLog, MaxHeaderBytes: maxHeader, ConnContext: withPeer,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: trustedTimeout, IdleTimeout: idleTimeout,
	}
	failed := make(chan error, 2)
	go func() { failed <- public.Serve(tcp) }()
	go func() { failed <- trusted.Serve(unix) }()

	select {
	case <-cmd.Context().Done(): // a signal
		logger.Info("stopping")
	case err = <-failed:
	case <-led.Stopped():
	}
	api.Drain()
	shutDown(public, trusted)
	return err
}

// publicServer is the server of the public API.
func publicServer(h http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: errorLog, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}
}

// stopCause returns why a fault stopped the ledger, nil if none did, also if
// that came when the server was about to end anyway: what it answered then
// must not look like an orderly end.
func stopCause(led *capycoin.Ledger) error {
	if err := led.Err(); errors.Is(err, capycoin.ErrStopped) {
		return hint(err, "start the server again; what it finds in the file is what happened")
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
	ctx, cancel := context.WithTimeout(context.Background(), graceTimeout)
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

func newLogger(cmd *cobra.Command, f *serveFlags) (*slog.Logger, error) {
	var level slog.Level
	switch f.logLevel {
	case "debug", "info", "warn", "error":
		if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("--log-level is %q; there are debug, info, warn and error", f.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.log {
	case "text":
		return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), options)), nil
	}
	return nil, fmt.Errorf("--log is %q; there are text and json", f.log)
}

// parseSupply reads a supply, 0 for none.
func parseSupply(s string) (capycoin.Coins, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > int64(capycoin.MaxSupply) {
		return 0, fmt.Errorf("--supply is %q; it has to be a whole number, 1 to %d", s, capycoin.MaxSupply)
	}
	return capycoin.Coins(n), nil
}

// checkListen makes sure, before anything is made, that an address can be one.
func checkListen(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return hint(fmt.Errorf("--listen is %q: %w", addr, err), "it has to be a host and a port such as localhost:8000, or :8000 for every address")
	}
	return nil
}

func loadTLS(f *serveFlags) (*tls.Config, error) {
	if f.tlsCert == "" && f.tlsKey == "" {
		return nil, nil
	}
	if f.tlsCert == "" || f.tlsKey == "" {
		return nil, errors.New("--tls-cert and --tls-key go together; one of them is missing")
	}
	cert, err := tls.LoadX509KeyPair(f.tlsCert, f.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// openError says what to do about an error of opening the ledger.
func openError(err error) error {
	for _, h := range []struct {
		err  error
		hint string
	}{
		{capycoin.ErrLocked, "another capycoind serves this file; stop it, or choose another file with --db"},
		{capycoin.ErrSupplyMismatch, "leave --supply out, or choose another file with --db: a supply never changes"},
		{capycoin.ErrNewerFormat, "use the version of capycoind that wrote the file, or a later one"},
		{capycoin.ErrEmptyFile, "restore a copy; or remove the file if it never was a ledger"},
		{capycoin.ErrNotLedger, "choose another file with --db"},
		{capycoin.ErrIsDirectory, "name a file in it with --db"},
		{capycoin.ErrNotWritable, "run this as the user that owns the file and its folder"},
		{capycoin.ErrCorrupt, "keep the file as it is, look at the disk, and restore a copy (docs/operating.md)"},
		{fs.ErrNotExist, "make the folder first"},
	} {
		if errors.Is(err, h.err) {
			return hint(err, "%s", h.hint)
		}
	}
	return err
}
