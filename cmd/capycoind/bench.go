package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	dir     string
	seconds float64
	seed    uint64
	long    bool
	require float64
}

func newBench(s *settings) *cobra.Command {
	var f benchFlags
	var names strings.Builder
	for _, c := range benchCases {
		fmt.Fprintf(&names, "  %-20s %s\n", c.name, c.about)
	}
	cmd := &cobra.Command{
		Use:   "bench [CASE...]",
		Short: "Measure how fast this machine makes durable transfers",
		Long: "Measures how fast a ledger and its server are on this machine, and how close that\n" +
			"is to what the machine can do: each case takes turns with its limit, which for a\n" +
			"ledger is bbolt appending as many bytes, for a request a bare net/http handler.\n" +
			"The ratio is that of the medians. Everything is in a folder of its own, which goes\n" +
			"at the end, after an audit of the ledgers in it. The cases:\n\n" + names.String(),
		Args: func(_ *cobra.Command, args []string) error {
			for _, name := range args {
				if !slices.ContainsFunc(benchCases, func(c benchCase) bool { return c.name == name }) {
					return hint(fmt.Errorf("there is no case %q", name), "capycoind bench --help lists all there are")
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBench(cmd, s, &f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "measure in this `folder` (default: a new one in the working directory)")
	flags.Float64Var(&f.seconds, "seconds", 5, "how many seconds a case takes, 0.1 to 600, and its limit as many")
	flags.Uint64Var(&f.seed, "seed", 1, "where the random choices begin")
	flags.BoolVar(&f.long, "long", false, "run the cases that take minutes to prepare, too")
	flags.Float64Var(&f.require, "require", 0, "fail if a ratio is below this `part` of its target, 0 to 1")
	withJSON(cmd, s)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var all []string
		for _, c := range benchCases {
			all = append(all, c.name)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// benchResult is what came out for a case. Nil: it has no such thing.
type benchResult struct {
	Name           string   `json:"name"`
	PerSecond      float64  `json:"per_second"`
	P50            float64  `json:"p50_us"`
	P99            float64  `json:"p99_us"`
	Limit          *string  `json:"limit"`
	LimitPerSecond *float64 `json:"limit_per_second"`
	Ratio          *float64 `json:"ratio"`
	BytesEach      *float64 `json:"bytes_each"`
}

func runBench(cmd *cobra.Command, s *settings, f *benchFlags, names []string) (err error) {
	if !(f.seconds >= 0.1 && f.seconds <= 600) {
		return fmt.Errorf("--seconds is %v; it has to be 0.1 to 600", f.seconds)
	}
	if !(f.require >= 0 && f.require <= 1) {
		return fmt.Errorf("--require is %v; it has to be 0 to 1", f.require)
	}
	parent := f.dir
	if parent == "" {
		parent = "."
	}
	dir, err := os.MkdirTemp(parent, "capycoin-bench-")
	if err != nil {
		return hint(err, "name a folder that is there, and that this user may write to, with --dir")
	}
	b := &bench{
		dir: dir, seed: f.seed, slice: time.Duration(f.seconds / benchSlices * float64(time.Second)),
		progress: func(format string, args ...any) { cmd.PrintErrf(format+"\n", args...) },
		worlds:   make(map[string]*world), raws: make(map[int]*rawLog),
	}
	defer func() { err = errors.Join(err, b.close(), os.RemoveAll(dir)) }()

	disk, err := b.disk(cmd.Context())
	if err != nil {
		return err
	}
	results := []benchResult{disk}
	if s.json {
		if err := printJSON(cmd, disk); err != nil {
			return err
		}
	}
	var below []string
	for _, c := range benchCases {
		if len(names) > 0 && !slices.Contains(names, c.name) || len(names) == 0 && c.long && !f.long {
			continue
		}
		r, err := b.run(cmd.Context(), &c)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		results = append(results, r)
		if s.json {
			if err := printJSON(cmd, r); err != nil {
				return err
			}
		}
		if r.Ratio != nil && *r.Ratio < f.require*c.target {
			below = append(below, fmt.Sprintf("%s reaches %.2f of its limit, required is %.2f", c.name, *r.Ratio, f.require*c.target))
		}
	}
	if err := b.audit(cmd.Context()); err != nil {
		return err
	}
	if !s.json {
		if err := printResults(cmd, results); err != nil {
			return err
		}
	}
	if len(below) > 0 {
		return errors.New(strings.Join(below, "; "))
	}
	return nil
}

func printJSON(cmd *cobra.Command, r benchResult) error {
	b, err := json.Marshal(r)
	if err == nil {
		cmd.Println(string(b))
	}
	return err
}

func printResults(cmd *cobra.Command, results []benchResult) error {
	w := newTable(cmd, "CASE", "PER SECOND", "P50 µs", "P99 µs", "LIMIT", "PER SECOND", "RATIO", "TARGET", "BYTES EACH")
	show := func(format string, v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf(format, *v)
	}
	for _, r := range results {
		limit, target := "-", "-"
		if r.Limit != nil {
			limit = *r.Limit
		}
		for _, c := range benchCases {
			if c.name == r.Name && c.target > 0 {
				target = fmt.Sprintf("%.2f", c.target)
			}
		}
		row(w, r.Name, fmt.Sprintf("%.0f", r.PerSecond), fmt.Sprintf("%.0f", r.P50), fmt.Sprintf("%.0f", r.P99),
			limit, show("%.0f", r.LimitPerSecond), show("%.2f", r.Ratio), target, show("%.0f", r.BytesEach))
	}
	return w.Flush()
}

// audit replays the books of all ledgers that were used.
func (b *bench) audit(ctx context.Context) error {
	for name, w := range b.worlds {
		start := time.Now()
		rep, err := w.led.Audit(ctx, nil)
		if err == nil {
			err = rep.Err()
		}
		if err != nil {
			return fmt.Errorf("auditing the ledger of %s: %w", name, err)
		}
		took := time.Since(start)
		b.progress("audited the ledger of %s: %d records, %.0f a second, no fault", name, rep.Records, float64(rep.Records)/took.Seconds())
	}
	return nil
}
