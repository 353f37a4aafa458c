package command

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewKeygen returns the command that makes a key file.
func NewKeygen(s *Settings) *cobra.Command {
	var public bool
	cmd := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key to sign payments with",
		Long: "keygen makes an Ed25519 key, writes the private key to FILE, which only this user\n" +
			"can read, and shows the public one, which an account can be opened with. It never\n" +
			"replaces a file. It needs no server.\n\n" +
			"Whoever has FILE can spend what the account has; without it nobody can, the\n" +
			"operator neither. Keep a copy where nobody else gets at it.",
		Args: cli.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			if path == "" {
				return cli.Hint(errors.New("FILE is empty"), "name the file for the private key")
			}
			if path == "-" {
				return cli.Hint(errors.New(`FILE is "-"`), "a private key goes to a file and comes from one; ./- is one of that name")
			}
			answer := struct {
				File      string `json:"file"`
				PublicKey string `json:"public_key"`
			}{File: path}
			if public {
				private, err := readKeyFile(path)
				if err != nil {
					return err
				}
				answer.PublicKey = publicKeyOf(private).String()
			} else {
				key, err := makeKeyFile(path)
				if err != nil {
					return err
				}
				answer.PublicKey = key.String()
			}
			if !s.JSON {
				cmd.Println(answer.PublicKey)
				return nil
			}
			b, err := json.Marshal(answer)
			if err == nil {
				cmd.Println(string(b))
			}
			return err
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
	cmd.Flags().BoolVar(&public, "public", false, "show the public key of a FILE that is there")
	return cli.WithJSON(cmd, &s.JSON)
}
