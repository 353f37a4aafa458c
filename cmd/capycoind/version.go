package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version and what it was built with",
		Args:  arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, revision := "unknown", ""
			info, ok := debug.ReadBuildInfo()
			if ok {
				version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = ", revision " + s.Value
					}
				}
				cmd.Printf("capycoind %s%s, %s\n", version, revision, info.GoVersion)
				return nil
			}
			cmd.Printf("capycoind %s\n", version)
			return nil
		},
	}
}
