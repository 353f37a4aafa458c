package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

// serveFlags are the flags of the server alone.
type serveFlags struct {
	listen          string
	supply          string
	tlsCert, tlsKey string
	log, logLevel   string
	bcryptCost      int
	allowUID        []string
	corsOrigin      []string
	maxConns        int
	witness         string
	signUp          signUpFlags
	seedKey         string
	stipend         stipendFlags
}

func newServe(s *settings) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the ledger (what capycoind does without a command)",
		Args:  cli.NoCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd, s, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "localhost:8000", "the `address` of the public API")
	flags.StringVar(&f.supply, "supply", "", "how many `coins` the ledger has (default: the file's; 100000 for a new one)")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "certificate chain for the public API, a PEM `file`")
	flags.StringVar(&f.tlsKey, "tls-key", "", "its private key, a PEM `file`")
	flags.StringVar(&f.log, "log", "text", "how log lines look: text or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.witness, "witness", "", "the `file` that says how far the ledger has come (default: the database's path and .witness)")
	flags.IntVar(&f.bcryptCost, "bcrypt-cost", capycoin.DefaultBcryptCost, "the cost of the hashes of new tokens, 4 to 14")
	flags.StringSliceVar(&f.allowUID, "allow-uid", nil, "`users`, by number, whose processes may use the trusted socket beside the server's own and root")
	flags.StringSliceVar(&f.corsOrigin, "cors-origin", nil, "`origins`, such as https://app.example, whose pages may use the public API from a browser")
	flags.IntVar(&f.maxConns, "max-connections", defaultConns, "how many connections the public API has at once, 1 to 1000000")
	flags.StringVar(&f.seedKey, "seed-key", "", "the `public key`, of capycoind keygen, that a new ledger's seed account is opened with; payments from it then need --sign-with (default: the file's; none for a new one)")
	f.signUp.add(flags)
	f.stipend.add(flags)
	return cmd
}

// How long connections may take. A client that is slower is cut off.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 45 * time.Second // from when the headers were read: what a slow body leaves is for the answer
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
	seedKey, err := parseSeedKey(f.seedKey, cmd.Flags().Changed("seed-key"))
	if err != nil {
		return err
	}
	cert, err := loadTLS(f)
	if err != nil {
		return err
	}
	if f.bcryptCost < 4 || f.bcryptCost > 14 {
		return fmt.Errorf("--bcrypt-cost is %d; it has to be 4 to 14", f.bcryptCost)
	}
	uids, err := parseUIDs(f.allowUID)
	if err != nil {
		return err
	}
	for _, origin := range f.corsOrigin {
		if !httpapi.ValidOrigin(origin) {
			return cli.Hint(fmt.Errorf("--cors-origin has %q, which is no origin", origin),
				"name each as a browser sends it: scheme://host or scheme://host:port such as https://app.example, in lower case, without path and default port; * is none")
		}
	}
	if f.maxConns < 1 || f.maxConns > mostConns {
		return fmt.Errorf("--max-connections is %d; it has to be 1 to %d", f.maxConns, mostConns)
	}
	options, err := f.signUp.options()
	if err != nil {
		return err
	}
	if options.Stipend, err = f.stipend.rules(); err != nil {
		return err
	}
	if err := checkListen(f.listen); err != nil {
		return err
	}
	if err := checkSocketPath(s.socketPath()); err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Dir(s.db)); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return cli.Hint(fmt.Errorf("--db is %s, and %s is no folder that is there", s.db, filepath.Dir(s.db)), "make the folder first, or choose another file with --db")
	}
	if _, err := os.Lstat(s.db); errors.Is(err, fs.ErrNotExist) { // it is going to be made
		if err := f.stipend.checkCap(cmp.Or(supply, capycoin.DefaultSupply)); err != nil {
			return err
		}
	}

	defer onHangup(func() { cert.reread(logger) })()

	// Before the file, which may be made: its supply is settled then.
	unix, err := listenUnix(s.socketPath(), len(f.allowUID) > 0)
	if err != nil {
		return err
	}
	defer unix.Close()
	tcp, err := net.Listen("tcp", f.listen)
	if err != nil {
		return cli.Hint(err, "choose another address with --listen")
	}
	defer tcp.Close()

	led, err := capycoin.Open(s.db, &capycoin.Options{Supply: supply, SeedKey: seedKey, Logger: logger, Witness: f.witness})
	if err != nil {
		return openError(err, s.db)
	}
	defer func() { err = errors.Join(err, led.Close(), stopCause(led.Err())) }()
	has, err := led.Supply(cmd.Context())
	if err == nil {
		err = f.stipend.checkCap(has.Supply)
	}
	if err != nil {
		return err
	}
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: f.bcryptCost})
	if err != nil {
		return err
	}
	options.Logger, options.AllowUIDs, options.CORSOrigins = logger, uids, f.corsOrigin
	api, err := httpapi.New(led, iss, options)
	if err != nil {
		return err
	}
	scheme := "http"
	if cert != nil {
		tcp, scheme = cert.listen(tcp), "https"
	} else {
		warnPlain(tcp.Addr(), logger)
	}
	if f.stipend.on {
		ctx, cancel := context.WithCancel(cmd.Context())
		payer := &poolPayer{led: led, rules: options.Stipend, logger: logger}
		var ended sync.WaitGroup
		ended.Go(func() { payer.run(ctx) })
		// Before the ledger is closed.
		defer func() { cancel(); ended.Wait() }()
	}
	logger.Info("serving", "url", scheme+"://"+tcp.Addr().String(), "socket", s.socketPath(), "db", s.db)
	return serveLedger(cmd, led, api, tcp, unix, f.maxConns, logger)
}

// serveLedger serves an open ledger until a signal or a fault ends that.
func serveLedger(cmd *cobra.Command, led *capycoin.Ledger, api *httpapi.API, tcp, unix net.Listener, maxConns int, logger *slog.Logger) (err error) {
	errorLog := log.New(serverLog{logger}, "", 0)
	public := publicServer(api.Public(), errorLog)
	trusted := trustedServer(api.Trusted(), errorLog)
	most, mostTrusted := connLimits(maxConns, fileLimit())
	newConns(most, logger).guard(public)
	newConns(mostTrusted, logger).guard(trusted)
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

// publicServer is the server of the public API. It answers OPTIONS * itself as
// little as any other request: the handler does.
func publicServer(h http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: errorLog, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}
}

// trustedServer is the server of the trusted API.
func trustedServer(h http.Handler, errorLog *log.Logger) *http.Server {
	srv := publicServer(h, errorLog)
	srv.WriteTimeout, srv.ConnContext = trustedTimeout, withPeer
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

// parseUIDs returns the users that may use the trusted socket: root, the one the
// server runs as, and those that are named. Nil: the system does not tell who
// calls, and the socket's mode, or its folder's, is all that guards it.
func parseUIDs(named []string) ([]int, error) {
	if !knowsPeers && len(named) > 0 {
		return nil, errors.New("--allow-uid: this system does not tell who is at the other end of a socket")
	}
	if !knowsPeers {
		return nil, nil
	}
	uids := []int{0, os.Geteuid()}
	for _, s := range named {
		uid, err := strconv.ParseUint(s, 10, 32)
		if err != nil || uid == math.MaxUint32 { // which stands for none
			return nil, cli.Hint(fmt.Errorf("--allow-uid has %q, which is no user's number", s), "it has to be numbers with commas between them, such as 1000,1001; id -u NAME tells that of a user")
		}
		uids = append(uids, int(uid))
	}
	return uids, nil
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

// parseSeedKey reads the seed account's public key, the zero one if none was given.
// An empty one is no key: a script whose variable is empty would make a ledger whose
// seed account never has one.
func parseSeedKey(s string, given bool) (capycoin.PublicKey, error) {
	if !given {
		return capycoin.PublicKey{}, nil
	}
	key, err := capycoin.ParsePublicKey(s)
	if err != nil {
		return key, cli.Hint(fmt.Errorf("--seed-key is %q: %w", s, err), "it has to be what capycoind keygen FILE shows, 44 characters; FILE itself is for --sign-with")
	}
	return key, nil
}

// checkListen makes sure, before anything is made, that an address can be one.
func checkListen(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return cli.Hint(fmt.Errorf("--listen is %q: %w", addr, err), "it has to be a host and a port such as localhost:8000, or :8000 for every address")
	}
	return nil
}
