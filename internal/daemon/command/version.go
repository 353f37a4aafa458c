package command

import (
	"encoding/json"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewVersion returns the command that says what was built.
func NewVersion(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version and what it was built with",
		Args:  cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			if s.JSON {
				b, err := json.Marshal(v)
				if err != nil {
					return err
				}
				cmd.Println(string(b))
				return nil
			}
			cmd.Printf("capycoind %s", v.Version)
			if v.Revision != "" {
				cmd.Printf(", revision %s", v.Revision)
			}
			cmd.Printf(", %s\n", v.Go)
			return nil
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}

// version is what a binary knows of itself.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // with "-dirty" if the tree had changes
	Go       string `json:"go"`
}

func buildVersion() version {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version{Version: "unknown", Go: "unknown"}
	}
	v := version{Version: info.Main.Version, Go: info.GoVersion}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if v.Revision != "" && dirty {
		v.Revision += "-dirty"
	}
	return v
}
