package httpapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// TestAppend compares what is written by hand with what the packages write that
// define it.
func TestAppend(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		id := uuid.New()
		if got, want := string(appendID([]byte("x"), id)), "x"+id.String(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	strings := []string{"", "phone", "caffè 🐹", "\xff"}
	for r := range rune(0x3000) {
		strings = append(strings, "a"+string(r)+"b")
	}
	for _, s := range strings {
		want, err := json.Marshal(s)
		if got := appendString([]byte("x"), s); err != nil || string(got) != "x"+string(want) {
			t.Fatalf("got %s, want %s, %v", got, want, err)
		}
	}
	last := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	check := func(at time.Time) {
		t.Helper()
		got, want := string(appendTime([]byte("x"), at)), "x"+at.UTC().Format("2006-01-02T15:04:05.000000Z")
		if got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	check(time.Unix(0, 0))
	check(last)
	check(time.Date(2024, 2, 29, 0, 0, 0, 1_999, time.FixedZone("", 3600)))
	for range 100_000 {
		check(time.UnixMicro(rng.Int64N(last.UnixMicro() + 1)))
	}
}

// TestReceiptWriter: what receipts have in common is theirs.
func TestReceiptWriter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	var w receiptWriter
	var b []byte
	for range 1000 {
		r := capycoin.Receipt{TransactionID: uuid.New(), Timestamp: time.UnixMicro(rng.Int64N(2)).UTC(),
			Sender: ids[rng.IntN(2)], Receiver: ids[rng.IntN(2)], SenderFunds: capycoin.Coins(rng.Int64()), Fee: 1}
		start := len(b)
		b = w.append(b, &r)
		want := fmt.Sprintf(`{"transaction_id":%q,"timestamp":%q,"sender_account_id":%q,"receiver_account_id":%q,"sender_account_funds":%d,"fee":%d`,
			r.TransactionID, r.Timestamp.Format("2006-01-02T15:04:05.000000Z"), r.Sender, r.Receiver, r.SenderFunds, r.Fee)
		if got := string(b[start:]); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// TestTransactionWriter: what transactions have in common is theirs.
func TestTransactionWriter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var w transactionWriter
	var b []byte
	for range 1000 {
		tx := capycoin.Transaction{ID: uuid.New(), Timestamp: time.UnixMicro(rng.Int64N(3_000_000)).UTC(), Account: ids[rng.IntN(3)],
			Sender: ids[rng.IntN(3)], Receiver: ids[rng.IntN(3)], Amount: capycoin.Coins(rng.Int64()), Fee: 1, FundsAfter: capycoin.Coins(rng.Int64())}
		start := len(b)
		b = w.append(b, &tx)
		want := fmt.Sprintf(`{"transaction_id":%q,"timestamp":%q,"sender_account_id":%q,"receiver_account_id":%q,"amount":%d,"fee":%d,"funds_after":%d}`,
			tx.ID, tx.Timestamp.Format("2006-01-02T15:04:05.000000Z"), tx.Sender, tx.Receiver, tx.Amount, tx.Fee, tx.FundsAfter)
		if got := string(b[start:]); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}
