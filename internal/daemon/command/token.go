package command

import (
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewToken returns the commands about an account's tokens.
func NewToken(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Issue, list and revoke the tokens of an account",
		Args:  cli.NoCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenIssue(s), newTokenList(s), newTokenRevoke(s))
	return cmd
}

func newTokenIssue(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issue ACCOUNT",
		Short: "Issue a further token",
		Args:  cli.Arguments("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := tokenPath(args[0])
			if err != nil {
				return err
			}
			request := given(cmd, "label", "expires")
			var t token
			b, err := newClient(cmd, s).ask("POST", path, "", request, &t)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			cmd.Printf("token id  %s\nexpires   %s\ntoken     %s\n", t.ID, t.Expires, t.Secret)
			return nil
		},
	}
	cmd.Flags().String("label", "", "what to call it, at most 64 `characters`")
	cmd.Flags().String("expires", "", "when it ends, an `instant` such as 2026-03-01T00:00:00Z, at most 30 days off")
	return cli.WithJSON(cmd, &s.JSON)
}

// given returns those of the named flags that were given, as a request has them.
func given(cmd *cobra.Command, names ...string) map[string]string {
	request := make(map[string]string)
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f.Changed {
			request[name] = f.Value.String()
		}
	}
	return request
}

func newTokenList(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list ACCOUNT",
		Short: "List the live tokens, oldest first",
		Args:  cli.Arguments("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := tokenPath(args[0])
			if err != nil {
				return err
			}
			var answer struct{ Tokens []token }
			b, err := newClient(cmd, s).ask("GET", path+"s", "", nil, &answer)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			w := cli.NewTable(cmd.OutOrStdout(), "TOKEN ID", "CREATED", "EXPIRES", "LABEL")
			for _, t := range answer.Tokens {
				w.Row(t.ID, t.Created, t.Expires, t.Label)
			}
			return w.Flush()
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}

func newTokenRevoke(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ACCOUNT TOKEN_ID",
		Short: "End a token at once",
		Args:  cli.Arguments("ACCOUNT", "TOKEN_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := tokenPath(args[0])
			if err != nil {
				return err
			}
			id, err := cli.ParseID("TOKEN_ID", args[1])
			if err != nil {
				return err
			}
			if _, err := newClient(cmd, s).ask("DELETE", path+"/"+id, "", nil, nil); err != nil {
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

// token is a token as the server has it.
type token struct {
	ID      string `json:"token_id"`
	Created string `json:"created"`
	Expires string `json:"token_expiry"`
	Label   string `json:"label"`
	Secret  string `json:"token"`
}

// tokenPath is the path of an account's tokens, without the s that their list
// has.
func tokenPath(account string) (string, error) {
	id, err := cli.ParseID("ACCOUNT", account)
	return "/account/" + id + "/token", err
}
