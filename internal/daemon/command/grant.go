package command

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// payment is the body of a transfer.
type payment struct {
	Sender   string `json:"sender"`
	Receiver string `json:"receiver"`
	Amount   int64  `json:"amount"`
	Key      string `json:"key,omitempty"`
	// Of a signed one.
	MaxFee    *int64 `json:"max_fee,omitempty"`
	NotAfter  string `json:"not_after,omitempty"`
	Signature string `json:"signature,omitempty"`
}

// checkKey makes sure that --key, if it was given, is a key: an empty one would
// be none, and a script whose variable is empty would pay again and again.
func checkKey(cmd *cobra.Command, key string) error {
	if cmd.Flags().Changed("key") && !capycoin.ValidKey(key) {
		return errors.New(`--key has to be 1 to 255 characters 0x21 to 0x7E without " and \`)
	}
	return nil
}

// NewGrant returns the command that pays from the seed account.
func NewGrant(s *Settings) *cobra.Command {
	var limit int64
	var key, signWith string
	cmd := &cobra.Command{
		Use:   "grant RECEIVER AMOUNT",
		Short: "Pay from the seed account",
		Args:  cli.Arguments("RECEIVER", "AMOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return fmt.Errorf("--limit is %d; it has to be 1 or more", limit)
			}
			receiver, err := cli.ParseID("RECEIVER", args[0])
			if err != nil {
				return err
			}
			amount, err := cli.WholeNumber("AMOUNT", args[1], 1, int64(capycoin.MaxSupply))
			if err != nil {
				return err
			}
			if amount > limit {
				return cli.Hint(fmt.Errorf("AMOUNT is %d, more than the limit of %d", amount, limit), "raise the limit with --limit")
			}
			if err := checkKey(cmd, key); err != nil {
				return err
			}
			c := newClient(cmd, s)
			seed, err := c.seed()
			if err != nil {
				return err
			}
			signer, err := c.seedSigner(cmd, &seed, signWith)
			if err != nil {
				return err
			}
			return grant(c, cmd, payment{Sender: seed.ID, Receiver: receiver, Amount: amount, Key: key}, signer, s.JSON)
		},
	}
	cmd.Flags().Int64Var(&limit, "limit", 100, "the most `coins` to pay, against a slip of the hand")
	cmd.Flags().StringVar(&key, "key", "", "pay once under this `key`, however often this is run")
	signWithFlag(cmd, &signWith)
	return cli.WithJSON(cmd, &s.JSON)
}

// receipt is the receipt of a transfer as the server has it.
type receipt struct {
	TransactionID string `json:"transaction_id"`
	Timestamp     string `json:"timestamp"`
	Sender        string `json:"sender_account_id"`
	Receiver      string `json:"receiver_account_id"`
	SenderFunds   int64  `json:"sender_account_funds"`
	Fee           int64  `json:"fee"`
	Replayed      bool   `json:"replayed"`
}

// grant makes a payment; signer is nil if it is not to be signed.
func grant(c *client, cmd *cobra.Command, p payment, signer *signer, asJSON bool) error {
	if signer != nil {
		if p.Key == "" { // what is signed has one
			p.Key = uuid.NewString()
			c.again = "repeat it with --key " + p.Key + ", which pays once"
		}
		if err := signer.sign(&p); err != nil {
			return err
		}
	}
	key := p.Key
	p.Key = "" // it goes into the header
	resp, err := c.open("POST", "/transaction", key, p)
	if err != nil {
		return signError(err)
	}
	var r receipt
	if _, err := read(resp, &r); err != nil {
		return err
	}
	r.Replayed = resp.Header.Get("Idempotency-Replayed") != ""
	if asJSON {
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		cmd.Println(string(b))
		return nil
	}
	word := "paid"
	if r.Replayed {
		word = "had already paid"
	}
	cmd.Printf("%s %d to %s, transaction %s; the seed account then had %d\n", word, p.Amount, r.Receiver, r.TransactionID, r.SenderFunds)
	return nil
}
