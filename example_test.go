package capycoin_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// exampleLedger opens a new ledger whose clock and account ids are always the
// same, so that the examples can print what they get.
func exampleLedger() (led *capycoin.Ledger, done func()) {
	dir, err := os.MkdirTemp("", "capycoin-example-")
	if err != nil {
		log.Fatal(err)
	}
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	ids := uint64(0)
	led, err = capycoin.Open(filepath.Join(dir, "coins.db"), &capycoin.Options{
		Clock: func() time.Time { return now },
		NewID: func() (uuid.UUID, error) {
			ids++
			id := uuid.UUID{6: 0x40, 8: 0x80} // version 4, the variant of RFC 9562
			binary.BigEndian.PutUint32(id[12:], uint32(ids))
			return id, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	return led, func() {
		if err := led.Close(); err != nil {
			log.Fatal(err)
		}
		os.RemoveAll(dir)
	}
}

// exampleAccount opens an account and grants it coins.
func exampleAccount(led *capycoin.Ledger, coins capycoin.Coins) uuid.UUID {
	ctx := context.Background()
	acct, err := led.OpenAccount(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if coins > 0 {
		_, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: coins})
		if err != nil {
			log.Fatal(err)
		}
	}
	return acct.ID
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "capycoin-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "coins.db")

	// There is no such file yet, so this makes a ledger with a million coins.
	led, err := capycoin.Open(path, &capycoin.Options{Supply: 1_000_000})
	if err != nil {
		log.Fatal(err)
	}
	supply, err := led.Supply(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("supply:", supply.Supply)
	fmt.Println("of these circulate:", supply.Circulating)
	if err := led.Close(); err != nil {
		log.Fatal(err)
	}

	// The supply was settled when the ledger was made.
	_, err = capycoin.Open(path, &capycoin.Options{Supply: 2_000_000})
	fmt.Println("another supply is refused:", errors.Is(err, capycoin.ErrSupplyMismatch))

	// Output:
	// supply: 1000000
	// of these circulate: 0
	// another supply is refused: true
}

func ExampleLedger_Transfer() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	alice, bob := exampleAccount(led, 100), exampleAccount(led, 0)

	order := capycoin.Transfer{Sender: alice, Receiver: bob, Amount: 30, Key: "order-17"}
	receipt, err := led.Transfer(ctx, order)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("Alice has", receipt.SenderFunds)

	// The answer got lost on its way? Ask again, with the same key.
	again, err := led.Transfer(ctx, order)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same transaction:", again.TransactionID == receipt.TransactionID, again.Replayed)

	_, err = led.Transfer(ctx, capycoin.Transfer{Sender: alice, Receiver: bob, Amount: 71})
	var short *capycoin.InsufficientFundsError
	if errors.As(err, &short) {
		fmt.Println("Alice has", short.Funds, "and needs", short.Required)
	}

	// Output:
	// Alice has 70
	// the same transaction: true true
	// Alice has 70 and needs 71
}

func ExampleLedger_TransferBatch() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	alice, bob, carol := exampleAccount(led, 100), exampleAccount(led, 0), exampleAccount(led, 0)
	transfers := []capycoin.Transfer{
		{Sender: alice, Receiver: bob, Amount: 80},
		{Sender: alice, Receiver: carol, Amount: 80}, // only 20 are left by then
		{Sender: bob, Receiver: carol, Amount: 50},   // Bob has what he just got
	}

	// All or none.
	_, err := led.TransferBatch(ctx, transfers, capycoin.Atomic)
	fmt.Println(err)

	// Each by itself.
	results, err := led.TransferBatch(ctx, transfers, capycoin.EachAlone)
	if err != nil {
		log.Fatal(err)
	}
	for i, result := range results {
		if result.Err != nil {
			fmt.Println(i, result.Err)
			continue
		}
		fmt.Println(i, "done, the sender has", result.Receipt.SenderFunds)
	}

	// Output:
	// transfer 1: capycoin: not enough funds: has 20, needs 80
	// 0 done, the sender has 20
	// 1 capycoin: not enough funds: has 20, needs 80
	// 2 done, the sender has 30
}

func ExampleLedger_Transactions() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	alice, bob := exampleAccount(led, 100), exampleAccount(led, 0)
	for _, amount := range []capycoin.Coins{10, 20, 30} {
		if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: alice, Receiver: bob, Amount: amount}); err != nil {
			log.Fatal(err)
		}
	}

	for tx, err := range led.Transactions(ctx, alice, capycoin.Range{Order: capycoin.NewestFirst}) {
		if err != nil {
			log.Fatal(err)
		}
		sign := '+'
		if tx.Sender == alice {
			sign = '-'
		}
		fmt.Printf("%d. %s %c%d, %d left\n", tx.Ordinal, tx.Timestamp.Format(time.DateOnly), sign, tx.Amount, tx.FundsAfter)
	}

	// Output:
	// 4. 2026-03-01 -30, 40 left
	// 3. 2026-03-01 -20, 70 left
	// 2. 2026-03-01 -10, 90 left
	// 1. 2026-03-01 +100, 100 left
}

func ExampleLedger_TransactionPage() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	alice, bob := exampleAccount(led, 100), exampleAccount(led, 0)
	for range 4 {
		if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: alice, Receiver: bob, Amount: 5}); err != nil {
			log.Fatal(err)
		}
	}

	// The cursor brings the rest of the range with it.
	r := capycoin.Range{Limit: 3}
	for {
		page, err := led.TransactionPage(ctx, alice, r)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(page.Transactions), "transactions")
		if page.Next == "" {
			break
		}
		r.Cursor = page.Next
	}

	// Output:
	// 3 transactions
	// 2 transactions
}

func ExampleLedger_FundsAt() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	alice := exampleAccount(led, 100)

	for _, day := range []int{1, 2} {
		at := time.Date(2026, time.March, day, 0, 0, 0, 0, time.UTC)
		funds, err := led.FundsAt(ctx, alice, at)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(at.Format(time.DateOnly), funds)
	}

	// Output:
	// 2026-03-01 0
	// 2026-03-02 100
}

func ExampleLedger_Audit() {
	led, done := exampleLedger()
	defer done()
	alice, bob := exampleAccount(led, 100), exampleAccount(led, 0)
	ctx := context.Background()
	if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: alice, Receiver: bob, Amount: 30}); err != nil {
		log.Fatal(err)
	}

	report, err := led.Audit(ctx, nil)
	if err != nil {
		log.Fatal(err) // the audit could not be made
	}
	if err := report.Err(); err != nil {
		log.Fatal(err) // it was made, and found something
	}
	fmt.Printf("%d accounts, %d transactions, %d coins, %d faults\n",
		report.Accounts, report.Transactions, report.Supply, report.FaultCount)

	// Output:
	// 3 accounts, 2 transactions, 100000 coins, 0 faults
}

// A backup is made while the ledger goes on. Restore makes a ledger of it.
func ExampleLedger_Backup() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	acct := exampleAccount(led, 30)
	dir, err := os.MkdirTemp("", "capycoin-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	backup, restored := filepath.Join(dir, "backup.db"), filepath.Join(dir, "restored.db")
	rep, err := led.Backup(ctx, backup, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("records:", rep.Supply.Position, "faults:", rep.Audit.FaultCount)
	exampleAccount(led, 5) // too late for it

	if rep, err = capycoin.Restore(ctx, backup, restored, nil); err != nil {
		log.Fatal(err)
	}
	again, err := capycoin.Open(restored, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	a, err := again.Account(ctx, acct)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accounts:", rep.Supply.Accounts, "funds:", a.Funds)
	// Output:
	// records: 3 faults: 0
	// accounts: 2 funds: 30
}

func ExampleTokenIssuer() {
	led, done := exampleLedger()
	defer done()
	ctx := context.Background()
	issuer, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4}) // a low cost, for an example
	if err != nil {
		log.Fatal(err)
	}

	// An account and its first token, in one commit.
	acct, first, err := issuer.OpenAccount(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the owner keeps", len(first.Secret), "digits")

	// Who sends the secret is who they say they are.
	token, err := issuer.Verify(ctx, first.Secret)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("it is the account's:", token.Account == acct.ID)

	// A token for another device, and the first one ends.
	if _, err := issuer.Issue(ctx, acct.ID, capycoin.TokenRequest{Label: "phone"}); err != nil {
		log.Fatal(err)
	}
	if err := issuer.Revoke(ctx, acct.ID, first.ID); err != nil {
		log.Fatal(err)
	}
	_, err = issuer.Verify(ctx, first.Secret)
	fmt.Println("after that:", err)
	live, err := issuer.List(ctx, acct.ID)
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range live {
		fmt.Printf("%s, valid until %s\n", t.Label, t.Expires.Format(time.DateOnly))
	}

	// Output:
	// the owner keeps 256 digits
	// it is the account's: true
	// after that: capycoin: invalid token
	// phone, valid until 2026-03-31
}
