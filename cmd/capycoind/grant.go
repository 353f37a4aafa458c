package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
)

// payment is the body of a transfer.
type payment struct {
	Sender   string `json:"sender"`
	Receiver string `json:"receiver"`
	Amount   int64  `json:"amount"`
	Key      string `json:"key,omitempty"`
}

// wholeNumber reads an argument.
func wholeNumber(name, s string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is %q; it has to be a whole number, %d to %d", name, s, least, most)
	}
	return n, nil
}

// checkKey makes sure that --key, if it was given, is a key: an empty one would
// be none, and a script whose variable is empty would pay again and again.
func checkKey(cmd *cobra.Command, key string) error {
	if cmd.Flags().Changed("key") && !capycoin.ValidKey(key) {
		return errors.New(`--key has to be 1 to 255 characters 0x21 to 0x7E without " and \`)
	}
	return nil
}

func newGrant(s *settings) *cobra.Command {
	var limit int64
	var key string
	cmd := &cobra.Command{
		Use:   "grant RECEIVER AMOUNT",
		Short: "Pay from the seed account",
		Args:  arguments("RECEIVER", "AMOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return fmt.Errorf("--limit is %d; it has to be 1 or more", limit)
			}
			receiver, err := parseID("RECEIVER", args[0])
			if err != nil {
				return err
			}
			amount, err := wholeNumber("AMOUNT", args[1], 1, int64(capycoin.MaxSupply))
			if err != nil {
				return err
			}
			if amount > limit {
				return hint(fmt.Errorf("AMOUNT is %d, more than the limit of %d", amount, limit), "raise the limit with --limit")
			}
			if err := checkKey(cmd, key); err != nil {
				return err
			}
			return grant(newClient(cmd, s), cmd, receiver, amount, key, s.json)
		},
	}
	cmd.Flags().Int64Var(&limit, "limit", 100, "the most `coins` to pay, against a slip of the hand")
	cmd.Flags().StringVar(&key, "key", "", "pay once under this `key`, however often this is run")
	return withJSON(cmd, s)
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

func grant(c *client, cmd *cobra.Command, receiver string, amount int64, key string, asJSON bool) error {
	seed, err := c.seed()
	if err != nil {
		return err
	}
	resp, err := c.open("POST", "/transaction", key, payment{Sender: seed, Receiver: receiver, Amount: amount})
	if err != nil {
		return err
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
	cmd.Printf("%s %d to %s, transaction %s; the seed account then had %d\n", word, amount, r.Receiver, r.TransactionID, r.SenderFunds)
	return nil
}
