package command

import (
	"encoding/json"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewInvite returns the commands about invites.
func NewInvite(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make, list and revoke invites, each for one new account",
		Args:  cli.NoCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInviteNew(s), newInviteList(s), newInviteRevoke(s))
	return cmd
}

func newInviteNew(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make an invite",
		Args:  cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := given(cmd, "label", "expires")
			var i invite
			b, err := newClient(cmd, s).ask("POST", "/invite", "", request, &i)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			cmd.Printf("invite id  %s\nexpires    %s\ninvite     %s\n", i.ID, i.Expires, i.Code)
			return nil
		},
	}
	cmd.Flags().String("label", "", "what to call it, at most 64 `characters`")
	cmd.Flags().String("expires", "", "when it ends, an `instant` such as 2026-03-01T00:00:00Z, at most 365 days off (default: in 30 days)")
	return cli.WithJSON(cmd, &s.JSON)
}

func newInviteList(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the invites that nobody has used yet, oldest first",
		Args:  cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, lines := newClient(cmd, s), json.NewEncoder(cmd.OutOrStdout())
			w := cli.NewTable(cmd.OutOrStdout(), "INVITE ID", "CREATED", "EXPIRES", "LABEL")
			for path := "/invites?limit=1000"; path != ""; {
				var page struct {
					Invites []invite
					Next    string `json:"next_cursor"`
				}
				if _, err := c.ask("GET", path, "", nil, &page); err != nil {
					return err
				}
				for _, i := range page.Invites {
					if !s.JSON {
						w.Row(i.ID, i.Created, i.Expires, i.Label)
					} else if err := lines.Encode(i); err != nil {
						return err
					}
				}
				if path = ""; page.Next != "" {
					path = "/invites?limit=1000&cursor=" + url.QueryEscape(page.Next)
				}
			}
			if s.JSON {
				return nil
			}
			return w.Flush()
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}

func newInviteRevoke(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke INVITE_ID",
		Short: "End an invite at once",
		Args:  cli.Arguments("INVITE_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := cli.ParseID("INVITE_ID", args[0])
			if err != nil {
				return err
			}
			if _, err := newClient(cmd, s).ask("DELETE", "/invite/"+id, "", nil, nil); err != nil {
				return err
			}
			if s.JSON {
				cmd.Println("{}")
				return nil
			}
			cmd.Printf("revoked %s\n", id)
			return nil
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}

// invite is an invite as the server has it; the code only when it is new.
type invite struct {
	ID      string `json:"invite_id"`
	Created string `json:"created"`
	Expires string `json:"invite_expiry"`
	Label   string `json:"label"`
	Code    string `json:"invite,omitempty"`
}
