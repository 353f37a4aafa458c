package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
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
	var list strings.Builder
	for _, c := range benchCases {
		star := ""
		if c.long {
			star = " *"
		}
		fmt.Fprintf(&list, "  %-20s%s%s\n", c.name, c.about, star)
	}
	cmd := &cobra.Command{
		Use:   "bench [CASE...]",
		Short: "Measure how fast a ledger is on this machine",
		Long: "Measures how fast a ledger and its API are on this machine, and how close that is\n" +
			"to what the machine can do at all. It needs no server. First comes the disk: 4 KiB\n" +
			"appended and synced. Then each case takes turns with its limit, which is the same\n" +
			"load on something that does less: raw bbolt that appends as many bytes a transfer,\n" +
			"a handler that only decodes the body and writes as long a reply, or another case.\n" +
			"The ratio is that of the medians of their turns. p50 and p99 are how long a call\n" +
			"takes, of a batch the whole batch. \"Per second\" counts transfers where there are\n" +
			"any, otherwise answers.\n\n" +
			"Everything is in a folder of its own, which is removed at the end, after an audit\n" +
			"of each ledger in it; it takes a few gigabytes at most. Without a CASE it runs all\n" +
			"but those with a star:\n\n" + list.String(),
		Args: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"db", "socket"} { // the environment may have them, for the other commands
				if cmd.Flags().Changed(name) {
					return cli.Hint(fmt.Errorf("--%s is not for bench, which makes ledgers of its own", name), "--dir says in which folder")
				}
			}
			for _, name := range args {
				if !slices.Contains(caseNames(), name) {
					return cli.Hint(fmt.Errorf("there is no case %q", name), "there are %s", strings.Join(caseNames(), ", "))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBench(cmd, s, &f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "measure in a new folder in this `folder` (default: the working directory)")
	flags.Float64Var(&f.seconds, "seconds", 5, "how many `seconds` to measure each case, and as many its limit, 0.1 to 600")
	flags.Uint64Var(&f.seed, "seed", 1, "a `number` that all random choices come from")
	flags.BoolVar(&f.long, "long", false, "also run grown, which takes minutes to prepare, and million-callers-64")
	flags.Float64Var(&f.require, "require", 0, "fail if a ratio is below this `part` of its target, in the best of three tries; 0: never")
	cli.WithJSON(cmd, &s.json)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return caseNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

func caseNames() (all []string) {
	for _, c := range benchCases {
		all = append(all, c.name)
	}
	return all
}

// check looks at what the flags say before anything is made.
func (f *benchFlags) check() error {
	if !(f.seconds >= 0.1 && f.seconds <= 600) { // so that NaN is none
		return fmt.Errorf("--seconds is %v; it has to be 0.1 to 600", f.seconds)
	}
	if !(f.require >= 0) {
		return fmt.Errorf("--require is %v; it has to be 0 or more", f.require)
	}
	if f.dir == "" {
		f.dir = "."
	}
	if info, err := os.Stat(f.dir); err != nil {
		return cli.Hint(fmt.Errorf("--dir: %w", err), "name a folder that is there")
	} else if !info.IsDir() {
		return cli.Hint(fmt.Errorf("--dir: %s is no folder", f.dir), "name a folder that is there")
	}
	return nil
}

// chosen returns the cases to run, in the order of the list.
func (f *benchFlags) chosen(names []string) (cases []benchCase) {
	for _, c := range benchCases {
		if len(names) == 0 && (f.long || !c.long) || slices.Contains(names, c.name) || c.long && f.long {
			cases = append(cases, c)
		}
	}
	return cases
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
	if err := f.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(f.dir, "capycoin-bench-")
	if err != nil {
		return cli.Hint(err, "choose a folder that this user may write to with --dir")
	}
	// A reader of the progress that goes away ends the bench in order: what it has
	// made is gigabytes.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	b := &bench{
		dir: dir, seed: f.seed, time: time.Duration(f.seconds * float64(time.Second)),
		step: func(format string, args ...any) {
			if _, err := fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...); err != nil {
				cancel(fmt.Errorf("telling the progress: %w", err))
			}
		},
		watch: s.progress(cmd), raws: make(map[string]*rawLog),
	}
	defer func() { err = errors.Join(err, b.close(), os.RemoveAll(dir)) }()

	var results []benchResult
	if !s.json {
		// What was measured is worth showing whatever comes after it.
		defer func() { err = errors.Join(err, printResults(cmd, results)) }()
	}
	below, err := b.runAll(ctx, f, f.chosen(names), func(r benchResult) error {
		results = append(results, r)
		if s.json {
			return printJSON(cmd, r)
		}
		return nil
	})
	if cause := context.Cause(ctx); cause != nil && cmd.Context().Err() == nil {
		return cause
	}
	if err != nil {
		return err
	}
	if len(below) > 0 {
		return errors.New(strings.Join(below, "; "))
	}
	return nil
}

// requireTries is how often a case is measured that does not reach what --require
// asks for: the machine may be busy with something else for a moment.
const requireTries = 3

// runAll measures the disk and the cases and audits what they made. It returns
// which cases do not reach what --require asks for, in the best of some tries.
func (b *bench) runAll(ctx context.Context, f *benchFlags, cases []benchCase, result func(benchResult) error) (below []string, err error) {
	disk, err := b.disk(ctx)
	if err == nil {
		err = result(disk)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		var r benchResult
		slow := func() bool { return r.Ratio != nil && *r.Ratio < f.require*c.target }
		for try := 0; try == 0 || slow() && try < requireTries; try++ {
			again, err := b.run(ctx, &c)
			if err != nil {
				return nil, fmt.Errorf("case %s: %w", c.name, err)
			}
			if try == 0 || *again.Ratio > *r.Ratio {
				r = again
			}
		}
		if err := result(r); err != nil {
			return nil, err
		}
		if slow() {
			below = append(below, fmt.Sprintf("%s has the ratio %.2f, required is %.2f", c.name, *r.Ratio, f.require*c.target))
		}
	}
	return below, b.audit(ctx)
}

// audit replays the books of all ledgers that were used.
func (b *bench) audit(ctx context.Context) error {
	for _, w := range b.worlds {
		rep, err := w.led.Audit(ctx, nil)
		if err == nil {
			err = rep.Err()
		}
		if err != nil {
			return fmt.Errorf("auditing the ledger %s: %w", w.name, err)
		}
		b.step("audited the ledger %s: %d records in %.1f s, the books are right", w.name, rep.Records, rep.Elapsed.Seconds())
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
	if len(results) == 0 {
		return nil
	}
	w := cli.NewTable(cmd.OutOrStdout(), "CASE", "PER SECOND", "P50 µs", "P99 µs", "LIMIT", "ITS PER SECOND", "RATIO", "TARGET", "BYTES EACH")
	for _, r := range results {
		limit := "-"
		if r.Limit != nil {
			limit = *r.Limit
		}
		w.Row(r.Name, figure(r.PerSecond), figure(r.P50), figure(r.P99),
			limit, optional(r.LimitPerSecond), optional(r.Ratio), targetOf(r.Name), optional(r.BytesEach))
	}
	return w.Flush()
}

// targetOf returns what a case has to reach, a ratio or a number per second.
func targetOf(name string) string {
	for _, c := range benchCases {
		switch {
		case c.name != name:
		case c.target > 0:
			return figure(c.target)
		case c.perSecond > 0:
			return figure(c.perSecond) + "/s"
		}
	}
	return "-"
}

func optional(v *float64) string {
	if v == nil {
		return "-"
	}
	return figure(*v)
}

// figure writes a number with as many decimals as are worth reading.
func figure(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
