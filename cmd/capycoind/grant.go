package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
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

const maxCoins = 1<<53 - 1

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
			amount, err := wholeNumber("AMOUNT", args[1], 1, maxCoins)
			if err != nil {
				return err
			}
			if amount > limit {
				return hint(fmt.Errorf("AMOUNT is %d, more than the limit of %d", amount, limit), "raise the limit with --limit")
			}
			return grant(newClient(cmd, s), cmd, args[0], amount, key, s.json)
		},
	}
	cmd.Flags().Int64Var(&limit, "limit", 100, "the most `coins` to pay, against a slip of the hand")
	cmd.Flags().StringVar(&key, "key", "", "pay once under this `key`, however often this is run")
	return withJSON(cmd, s)
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
	var receipt struct {
		TransactionID string `json:"transaction_id"`
		Receiver      string `json:"receiver_account_id"`
		Funds         int64  `json:"sender_account_funds"`
	}
	b, err := read(resp, &receipt)
	if err != nil {
		return err
	}
	if asJSON {
		cmd.Print(string(b))
		return nil
	}
	word := "paid"
	if resp.Header.Get("Idempotency-Replayed") != "" {
		word = "had already paid"
	}
	cmd.Printf("%s %d to %s, transaction %s; the seed account then had %d\n", word, amount, receipt.Receiver, receipt.TransactionID, receipt.Funds)
	return nil
}
