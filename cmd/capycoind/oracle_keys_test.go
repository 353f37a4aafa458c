package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// oracleKey is a private key that follows from a name.
func oracleKey(name string) (ed25519.PrivateKey, capycoin.PublicKey) {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key, capycoin.PublicKey(key.Public().(ed25519.PublicKey))
}

// fee is what the oracle's policy takes for a transfer.
func (x *transfer) fee() int64 { return 1 + (x.amount*10+9999)/10_000 }

// members are those of the request for a transfer, signed if its sender has a key.
func (o *oracle) members(h holder, x *transfer) map[string]any {
	m := map[string]any{"receiver": x.receiver, "amount": x.amount}
	if h.key == nil {
		return m
	}
	maxFee := capycoin.Coins(x.fee())
	tr := capycoin.Transfer{
		Sender: uuid.MustParse(x.sender), Receiver: uuid.MustParse(x.receiver), Amount: capycoin.Coins(x.amount), Key: x.key, MaxFee: &maxFee,
	}
	s, err := capycoin.SignTransfer(o.ledger, 1, tr, time.Now().Add(time.Hour), h.key)
	if err != nil {
		o.report("signing transfer %d: %v", x.amount, err)
		return m
	}
	m["max_fee"], m["not_after"], m["signature"] = maxFee, s.NotAfter.Format(time.RFC3339Nano), base64.StdEncoding.EncodeToString(s.Bytes[:])
	return m
}

// body is the request for a transfer.
func (o *oracle) body(h holder, x *transfer) string {
	b, err := json.Marshal(o.members(h, x))
	if err != nil {
		o.report("transfer %d: %v", x.amount, err)
	}
	return string(b)
}

// turn changes a key over and over, until the server is gone or the load is to end.
func (o *oracle) turn() {
	id := uuid.MustParse(o.turning)
	for !o.ending.Load() {
		old, _ := oracleKey(fmt.Sprint("turn ", o.version))
		next, public := oracleKey(fmt.Sprint("turn ", o.version+1))
		first, err := capycoin.SignKeyChange(o.ledger, id, o.version, public, old)
		second, err2 := capycoin.SignKeyChange(o.ledger, id, o.version, public, next)
		if err := errors.Join(err, err2); err != nil {
			o.report("signing change %d: %v", o.version, err)
			return
		}
		b64 := base64.StdEncoding.EncodeToString
		a, err := o.p.request("POST", "/account/"+o.turning+"/key", "", "",
			fmt.Sprintf(`{"public_key":%q,"key_version":%d,"old_signature":%q,"new_signature":%q}`, public, o.version, b64(first[:]), b64(second[:])))
		switch {
		case err != nil:
			return
		case a.status == http.StatusServiceUnavailable:
			time.Sleep(10 * time.Millisecond) // the disk is full
		case a.status != http.StatusOK:
			o.report("change %d of a key: %d %s", o.version, a.status, a.body)
			return
		default:
			o.version++
		}
	}
}

// judgeKey compares the key that was changed over and over: it is the last one
// acknowledged, or the next, which nobody answered.
func (o *oracle) judgeKey(a capycoin.Account) {
	_, want := oracleKey(fmt.Sprint("turn ", a.KeyVersion))
	if a.KeyVersion < o.version || a.KeyVersion > o.version+1 || a.PublicKey != want {
		o.report("version %d of the key was acknowledged, there is version %d, %s", o.version, a.KeyVersion, a.PublicKey)
	}
	o.version = a.KeyVersion
}
