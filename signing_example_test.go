package capycoin_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// A client signs a payment, with what it keeps of its account.
func ExampleSignTransfer() {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		panic(err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public, err := capycoin.NewPublicKey(private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	ledger := uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7")
	maxFee := capycoin.Coins(0)
	payment := capycoin.Transfer{
		Sender:   uuid.MustParse("0b8e4d5a-2f6c-4a71-9d3e-5c1f7a8b9e02"),
		Receiver: uuid.MustParse("5d1f3c2b-8a47-4e60-b9d8-2c6e0f4a7b13"),
		Amount:   5,
		Key:      "order-17",
		MaxFee:   &maxFee,
	}
	notAfter := time.Date(2022, 8, 15, 14, 24, 23, 136_285_000, time.UTC)
	payment.Signature, err = capycoin.SignTransfer(ledger, 1, payment, notAfter, private)
	if err != nil {
		panic(err)
	}
	fmt.Println(base64.StdEncoding.EncodeToString(payment.Signature.Bytes[:]))
	fmt.Println(capycoin.VerifyTransfer(ledger, 1, payment, public))
	payment.Amount = 500
	fmt.Println(errors.Is(capycoin.VerifyTransfer(ledger, 1, payment, public), capycoin.ErrInvalidSignature))
	// Output:
	// 3VimcLLp0rgksIchUniMbm4yOvPOucX+HGMPbnWv5+kEhV7YjYOeUuFpSXFUE5KSvzWMLyfZZIxMenWCro+7Bw==
	// <nil>
	// true
}
