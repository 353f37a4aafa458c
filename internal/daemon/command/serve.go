package command

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
	"github.com/capycoin/capycoin/internal/daemon/serve"
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

// NewServe returns the command that serves the ledger.
func NewServe(s *Settings) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the ledger (what capycoind does without a command)",
		Args:  cli.NoCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.options(cmd, s)
			if err != nil {
				return err
			}
			return serve.Run(cmd.Context(), o)
		},
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
	flags.IntVar(&f.maxConns, "max-connections", serve.DefaultConns, "how many connections the public API has at once, 1 to 1000000")
	flags.StringVar(&f.seedKey, "seed-key", "", "the `public key`, of capycoind keygen, that a new ledger's seed account is opened with; payments from it then need --sign-with (default: the file's; none for a new one)")
	f.signUp.add(flags)
	f.stipend.add(flags)
	return cmd
}

// options returns what the flags say, and refuses what can't be before anything is made.
func (f *serveFlags) options(cmd *cobra.Command, s *Settings) (*serve.Options, error) {
	logger, err := newLogger(cmd, f)
	if err != nil {
		return nil, err
	}
	supply, err := parseSupply(f.supply)
	if err != nil {
		return nil, err
	}
	seedKey, err := parseSeedKey(f.seedKey, cmd.Flags().Changed("seed-key"))
	if err != nil {
		return nil, err
	}
	cert, err := loadTLS(f)
	if err != nil {
		return nil, err
	}
	if f.bcryptCost < 4 || f.bcryptCost > 14 {
		return nil, fmt.Errorf("--bcrypt-cost is %d; it has to be 4 to 14", f.bcryptCost)
	}
	uids, err := parseUIDs(f.allowUID)
	if err != nil {
		return nil, err
	}
	for _, origin := range f.corsOrigin {
		if !httpapi.ValidOrigin(origin) {
			return nil, cli.Hint(fmt.Errorf("--cors-origin has %q, which is no origin", origin),
				"name each as a browser sends it: scheme://host or scheme://host:port such as https://app.example, in lower case, without path and default port; * is none")
		}
	}
	if f.maxConns < 1 || f.maxConns > serve.MostConns {
		return nil, fmt.Errorf("--max-connections is %d; it has to be 1 to %d", f.maxConns, serve.MostConns)
	}
	api, err := f.signUp.options()
	if err != nil {
		return nil, err
	}
	if api.Stipend, err = f.stipend.rules(); err != nil {
		return nil, err
	}
	if err := checkListen(f.listen); err != nil {
		return nil, err
	}
	if err := serve.CheckSocketPath(s.socketPath()); err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Dir(s.DB)); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, cli.Hint(fmt.Errorf("--db is %s, and %s is no folder that is there", s.DB, filepath.Dir(s.DB)), "make the folder first, or choose another file with --db")
	}
	if _, err := os.Lstat(s.DB); errors.Is(err, fs.ErrNotExist) { // it is going to be made
		if err := serve.CheckStipendCap(api.Stipend, cmp.Or(supply, capycoin.DefaultSupply)); err != nil {
			return nil, err
		}
	}
	api.AllowUIDs, api.CORSOrigins = uids, f.corsOrigin
	return &serve.Options{
		Addr: f.listen, Certificate: cert, MaxConns: f.maxConns,
		Socket: s.socketPath(), OpenSocket: len(f.allowUID) > 0,
		Open: func() (*capycoin.Ledger, error) {
			led, err := capycoin.Open(s.DB, &capycoin.Options{Supply: supply, SeedKey: seedKey, Logger: logger, Witness: f.witness})
			return led, openError(err, s.DB)
		},
		DB: s.DB, BcryptCost: f.bcryptCost, API: *api, PayStipend: f.stipend.on, Logger: logger,
	}, nil
}

// loadTLS returns the certificate that the flags name, nil if they name none.
func loadTLS(f *serveFlags) (*serve.Certificate, error) {
	if f.tlsCert == "" && f.tlsKey == "" {
		return nil, nil
	}
	if f.tlsCert == "" || f.tlsKey == "" {
		return nil, errors.New("--tls-cert and --tls-key go together; one of them is missing")
	}
	cert, err := serve.LoadCertificate(f.tlsCert, f.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return cert, nil
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
	if !serve.KnowsPeers && len(named) > 0 {
		return nil, errors.New("--allow-uid: this system does not tell who is at the other end of a socket")
	}
	if !serve.KnowsPeers {
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
