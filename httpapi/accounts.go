package httpapi

import (
	"net/url"
	"strconv"

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
	return x.sendJSON(appendTransaction(nil, &tx))
}

func serveTransactions(x *exchange) error {
	page, err := x.led.TransactionPage(x.r.Context(), x.account, x.listing)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, 300*(len(page.Transactions)+1)), `{"account_id":"`...)
	b = appendID(b, x.account)
	b = append(b, `","transactions":[`...)
	for i := range page.Transactions {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTransaction(b, &page.Transactions[i])
	}
	b = append(b, ']')
	return x.sendPage(b, page.Next, x.listing.Limit)
}

func appendTransaction(b []byte, t *capycoin.Transaction) []byte {
	b = append(b, `{"transaction_id":"`...)
	b = appendID(b, t.ID)
	b = append(b, `","timestamp":"`...)
	b = appendTime(b, t.Timestamp)
	b = append(b, `","sender_account_id":"`...)
	b = appendID(b, t.Sender)
	b = append(b, `","receiver_account_id":"`...)
	b = appendID(b, t.Receiver)
	b = append(b, `","amount":`...)
	b = strconv.AppendInt(b, int64(t.Amount), 10)
	b = append(b, `,"fee":`...)
	b = strconv.AppendInt(b, int64(t.Fee), 10)
	b = append(b, `,"funds_after":`...)
	b = strconv.AppendInt(b, int64(t.FundsAfter), 10)
	return append(b, '}')
}
