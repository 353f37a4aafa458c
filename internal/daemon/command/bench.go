package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
	"github.com/capycoin/capycoin/internal/daemon/bench"
)

// NewBench returns the command that measures ledgers on this machine.
func NewBench(s *Settings) *cobra.Command {
	var o bench.Options
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
			"but those with a star:\n\n" + bench.CaseList(),
		Args: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"db", "socket"} { // the environment may have them, for the other commands
				if cmd.Flags().Changed(name) {
					return cli.Hint(fmt.Errorf("--%s is not for bench, which makes ledgers of its own", name), "--dir says in which folder")
				}
			}
			for _, name := range args {
				if !slices.Contains(bench.CaseNames(), name) {
					return cli.Hint(fmt.Errorf("there is no case %q", name), "there are %s", strings.Join(bench.CaseNames(), ", "))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Cases, o.JSON = args, s.JSON
			o.Stdout, o.Stderr, o.Progress = cmd.OutOrStdout(), cmd.ErrOrStderr(), s.progress(cmd)
			return bench.Run(cmd.Context(), &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "", "measure in a new folder in this `folder` (default: the working directory)")
	flags.Float64Var(&o.Seconds, "seconds", 5, "how many `seconds` to measure each case, and as many its limit, 0.1 to 600")
	flags.Uint64Var(&o.Seed, "seed", 1, "a `number` that all random choices come from")
	flags.BoolVar(&o.Long, "long", false, "also run grown, which takes minutes to prepare, and million-callers-64")
	flags.Float64Var(&o.Require, "require", 0, "fail if a ratio is below this `part` of its target, in the best of three tries; 0: never")
	cli.WithJSON(cmd, &s.JSON)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return bench.CaseNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}
