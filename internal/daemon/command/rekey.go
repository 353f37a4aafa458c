package command

import (
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewRekey returns the command that changes an account's public key.
func NewRekey(s *Settings) *cobra.Command {
	var signWith, newKey string
	cmd := &cobra.Command{
		Use:   "rekey ACCOUNT --sign-with OLD --new NEW",
		Short: "Change an account's public key",
		Long: "rekey gives an account that has a public key another one. It takes both private\n" +
			"keys: that of the key it has, in the file OLD, and the new one, in NEW, as\n" +
			"capycoind keygen makes them. Signatures by the old key are worth nothing from then\n" +
			"on. A run that is repeated changes nothing more, unless NEW has the key that OLD\n" +
			"has: then each run changes the version, and ends the signatures given so far.",
		Args: cli.Arguments("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := cli.ParseID("ACCOUNT", args[0])
			if err != nil {
				return err
			}
			for _, name := range []string{"sign-with", "new"} {
				if !cmd.Flags().Changed(name) {
					return cli.Hint(fmt.Errorf("--%s is missing", name), "usage: %s", cmd.UseLine())
				}
			}
			return rekey(newClient(cmd, s), cmd, id, signWith, newKey, s.JSON)
		},
	}
	cmd.Flags().StringVar(&signWith, "sign-with", "", "the `file` with the private key that the account has now")
	cmd.Flags().StringVar(&newKey, "new", "", "the `file` with the private key that it is to have")
	return cli.WithJSON(cmd, &s.JSON)
}

// keyChange is the body of a change of a key.
type keyChange struct {
	PublicKey    string `json:"public_key"`
	KeyVersion   uint32 `json:"key_version"`
	OldSignature string `json:"old_signature"`
	NewSignature string `json:"new_signature"`
}

func rekey(c *client, cmd *cobra.Command, id, oldPath, newPath string, asJSON bool) error {
	oldKey, err := readKeyFile(oldPath)
	if err != nil {
		return err
	}
	newKey, err := readKeyFile(newPath)
	if err != nil {
		return err
	}
	c.again = "run it again, which changes nothing more if it was done"
	var a account
	b, err := c.ask("GET", "/account/"+id, "", nil, &a)
	if err != nil {
		return err
	}
	word, public := "has", publicKeyOf(newKey)
	if a.PublicKey == nil || *a.PublicKey != public.String() || publicKeyOf(oldKey) == public {
		signer, err := c.signer(&a, oldPath, oldKey)
		if err != nil {
			return err
		}
		change := keyChange{PublicKey: public.String(), KeyVersion: signer.version}
		account := uuid.MustParse(id)
		old, err := capycoin.SignKeyChange(signer.ledger, account, signer.version, public, oldKey)
		if err != nil {
			return err
		}
		change.OldSignature = base64.StdEncoding.EncodeToString(old[:])
		theNew, err := capycoin.SignKeyChange(signer.ledger, account, signer.version, public, newKey)
		if err != nil {
			return err
		}
		change.NewSignature = base64.StdEncoding.EncodeToString(theNew[:])
		if b, err = c.ask("POST", "/account/"+id+"/key", "", change, &a); err != nil {
			return err
		}
	} else {
		word = "had already"
	}
	if asJSON {
		cmd.Print(string(b))
		return nil
	}
	if a.PublicKey == nil || a.KeyVersion == nil {
		return fmt.Errorf("it was done, but the server's answer has no key of account %s", id)
	}
	cmd.Printf("account %s %s the key %s, version %d\n", id, word, *a.PublicKey, *a.KeyVersion)
	return nil
}
