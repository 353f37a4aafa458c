package httpapi

import (
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

func appendAccount(b []byte, a *capycoin.Account) []byte {
	b = append(b, `{"account_id":"`...)
	b = appendID(b, a.ID)
	b = append(b, `","created":"`...)
	b = appendTime(b, a.Created)
	b = append(b, `","funds":`...)
	b = strconv.AppendInt(b, int64(a.Funds), 10)
	b = append(b, `,"transactions":`...)
	b = strconv.AppendInt(b, a.Transactions, 10)
	if a.KeyVersion == 0 {
		return append(b, `,"public_key":null,"key_version":null}`...)
	}
	b = append(b, `,"public_key":"`...)
	b = append(b, a.PublicKey.String()...)
	b = append(b, `","key_version":`...)
	b = strconv.AppendUint(b, uint64(a.KeyVersion), 10)
	return append(b, '}')
}

func serveAccount(x *exchange) error {
	acct, err := x.led.Account(x.r.Context(), x.account)
	if err != nil {
		return err
	}
	return x.sendJSON(appendAccount(nil, &acct))
}

func serveAccounts(x *exchange) error {
	page, err := x.led.AccountPage(x.r.Context(), x.listing.Cursor, x.listing.Limit)
	if err != nil {
		return err
	}
	b := []byte(`{"accounts":[`)
	for i := range page.Accounts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAccount(b, &page.Accounts[i])
	}
	b = append(b, ']')
	return x.sendPage(b, page.Next, x.listing.Limit)
}

// sendPage writes a page, whose body lacks the cursor of the next one. The
// link is relative, so that it holds wherever the handler is mounted.
func (x *exchange) sendPage(b []byte, next string, limit int) error {
	b = append(b, `,"next_cursor":`...)
	if next == "" {
		return x.sendJSON(append(b, `null}`...))
	}
	query := url.Values{"cursor": {next}}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	x.w.Header().Set("Link", "<?"+query.Encode()+`>; rel="next"`)
	return x.sendJSON(append(appendString(b, next), '}'))
}

func serveTransaction(x *exchange) error {
	var tx capycoin.Transaction
	var err error
	if x.trusted() {
		tx, err = x.led.TransactionByID(x.r.Context(), x.object)
	} else {
		tx, err = x.led.Transaction(x.r.Context(), x.account, x.object)
	}
	if err != nil {
		return err
	}
	return x.sendJSON(new(transactionWriter).append(nil, &tx))
}

func serveTransactions(x *exchange) error {
	page, err := x.led.TransactionPage(x.r.Context(), x.account, x.listing)
	if err != nil {
		return err
	}
	b, done := longReply(320 * (len(page.Transactions) + 1))
	defer done()
	b = append(b, `{"account_id":"`...)
	b = appendID(b, x.account)
	b = append(b, `","transactions":[`...)
	var w transactionWriter
	for i := range page.Transactions {
		if i > 0 {
			b = append(b, ',')
		}
		b = w.append(b, &page.Transactions[i])
	}
	b = append(b, ']')
	return x.sendPage(b, page.Next, x.listing.Limit)
}

// transactionWriter writes transactions. Those of a page have an account in
// common, and some neighbours the second: it copies what it wrote before.
type transactionWriter struct {
	account uuid.UUID
	text    []byte // of the account's id; nil: there is none yet
	second  int64  // since 1970
	until   []byte // the text of a time up to its second
}

func (w *transactionWriter) append(b []byte, t *capycoin.Transaction) []byte {
	b = append(b, `{"transaction_id":"`...)
	b = appendID(b, t.ID)
	b = append(b, `","timestamp":"`...)
	start := len(b)
	if second := t.Timestamp.Unix(); w.until != nil && second == w.second {
		b = appendMicros(append(b, w.until...), t.Timestamp)
	} else {
		b = appendTime(b, t.Timestamp)
		w.second, w.until = second, b[start:len(b)-len(".000000Z")]
	}
	b = append(b, `","sender_account_id":"`...)
	b = w.party(b, t.Sender, t.Account)
	b = append(b, `","receiver_account_id":"`...)
	b = w.party(b, t.Receiver, t.Account)
	b = append(b, `","amount":`...)
	b = strconv.AppendInt(b, int64(t.Amount), 10)
	b = append(b, `,"fee":`...)
	b = strconv.AppendInt(b, int64(t.Fee), 10)
	b = append(b, `,"funds_after":`...)
	b = strconv.AppendInt(b, int64(t.FundsAfter), 10)
	return append(b, '}')
}

// party writes the id of one of the two accounts of a transaction of account.
func (w *transactionWriter) party(b []byte, id, account uuid.UUID) []byte {
	if w.text != nil && id == w.account {
		return append(b, w.text...)
	}
	start := len(b)
	b = appendID(b, id)
	if id == account {
		w.account, w.text = id, b[start:]
	}
	return b
}
