package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/capycoin/capycoin"
)

// problem is what is answered when something is wrong (RFC 9457), with the
// words that the original CapyCoin had for it.
type problem struct {
	status       int
	code         string
	errorType    string
	errorMessage string
	detail       string

	numbers
}

// numbers are the further members that some problems have.
type numbers struct {
	funds, required *capycoin.Coins // insufficient_funds
	fee, maxFee     *capycoin.Coins // fee_too_high
	index           *int            // of the transfer of a batch
}

// Error makes a problem an error, of this package alone.
func (p *problem) Error() string { return p.code + ": " + p.detail }

const (
	gatewayError     = "GatewayError"
	transactionError = "TransactionError"
	accountError     = "AccountError"
)

// What only this package finds.
var (
	errNoRoute  = errors.New("no such path")
	errNoMethod = errors.New("no such method")
	errNoToken  = errors.New("no token")
	errBearer   = errors.New("a token where none belongs")
	errTooLarge = errors.New("the body is too large")
	errNotJSON  = errors.New("the body is not JSON")
	errPanic    = errors.New("panic")
	errNotYou   = errors.New("a caller that may not")

	errSignUpClosed   = errors.New("sign-up is closed")
	errInviteRequired = errors.New("no invite")
	errTooManySignUps = errors.New("too many sign-ups")
	errTooManyIssues  = errors.New("too many new tokens and keys")
)

// problems is what each error is answered with. A detail never shows
// internals: these are all there are.
var problems = []struct {
	err error
	problem
}{
	{errNoRoute, problem{404, "not_found", "", "", "There is no such path; GET /openapi.yaml, of the public API, lists all there are.", numbers{}}},
	{errNoMethod, problem{405, "method_not_allowed", "", "", "This path does not have that method; the header Allow lists those it has.", numbers{}}},
	{errNotYou, problem{403, "forbidden", "", "", "The user of your process may not use this socket.", numbers{}}},
	{errNoToken, problem{401, "token_required", gatewayError, "Token required!", "Send the header Authorization: Bearer TOKEN with a token of this account.", numbers{}}},
	{capycoin.ErrInvalidToken, problem{401, "invalid_token", gatewayError, "Invalid token!", "This is not a valid token of this account.", numbers{}}},
	{errBearer, problem{400, "bad_request", gatewayError, "Bearer Auth not necessary", "Opening an account takes no token; leave the header out.", numbers{}}},
	{errSignUpClosed, problem{403, "signup_closed", "", "", "Nobody can open an account here; ask the operator for one.", numbers{}}},
	{errInviteRequired, problem{403, "invite_required", "", "", "To open an account takes an invite, as the member invite; the operator makes them.", numbers{}}},
	{capycoin.ErrInvalidInvite, problem{403, "invalid_invite", "", "", "There is no such invite, or it was used or has expired.", numbers{}}},
	{errTooManySignUps, problem{429, "too_many_requests", "", "", "Too many accounts are being opened; try again after as many seconds as Retry-After says.", numbers{}}},
	{errTooManyIssues, problem{429, "too_many_requests", "", "", "Too many tokens are being issued, or keys changed; try again after as many seconds as Retry-After says.", numbers{}}},
	{errTooLarge, problem{413, "too_large", "", "", "The body is too large; allowed are 64 KiB, for a batch 1 MiB, on the trusted side 8 MiB.", numbers{}}},
	{capycoin.ErrBatchTooLarge, problem{413, "too_large", "", "", "The atomic batch does not fit into one commit; split it, or leave atomic out.", numbers{}}},
	{errNotJSON, problem{415, "unsupported_media_type", "", "", "The body has to be application/json, in UTF-8.", numbers{}}},
	{capycoin.ErrMalformedSignature, badRequest("signature", "A signed transfer has an idempotency key, a max_fee of 0 to 9007199254740991, and a not_after of the years 1970 to 9999.")},
	{capycoin.ErrBadPublicKey, badRequest("public_key", "public_key has to be "+publicKeyForm+".")},
	{capycoin.ErrKeyReused, problem{422, "idempotency_key_reused", "", "", "The sender used this key for another receiver or amount.", numbers{}}},
	{capycoin.ErrSignatureRequired, problem{403, "signature_required", "", "", "The sender has a public key: the transfer needs its signature, as the members signature, not_after and max_fee.", numbers{}}},
	{capycoin.ErrInvalidSignature, problem{403, "invalid_signature", "", "", "This is not what the sender's present key signs for this transfer in this ledger, or the sender has no key.", numbers{}}},
	{capycoin.ErrSignatureExpired, problem{422, "signature_expired", "", "", "By the ledger's time it is after not_after; sign the transfer anew.", numbers{}}},
	{capycoin.ErrSignatureTooLong, problem{422, "signature_too_long", "", "", "not_after is more than 24 hours after the ledger's time, the most there can be.", numbers{}}},
	{capycoin.ErrAmountIsZero, problem{422, "amount_is_zero", transactionError, "AmountIsZero", "The amount is 0; the least is 1.", numbers{}}},
	{capycoin.ErrAmountIsNegative, problem{422, "amount_is_negative", transactionError, "AmountIsNegative", "The amount is negative; the least is 1.", numbers{}}},
	{capycoin.ErrSameAccount, problem{422, "same_account", transactionError, "SenderReceiverAreTheSame", "The sender can't be the receiver.", numbers{}}},
	{capycoin.ErrSenderNotFound, problem{422, "sender_not_found", transactionError, "SenderAccountDoesNotExist", "There is no account with the sender's id.", numbers{}}},
	{capycoin.ErrFeeAccount, problem{422, "fee_account_cannot_pay", "", "", "Only stipends take coins from the account of the fees.", numbers{}}},
	{capycoin.ErrReceiverNotFound, problem{422, "receiver_not_found", transactionError, "ReceiverAccountDoesNotExist", "There is no account with the receiver's id.", numbers{}}},
	{capycoin.ErrFeeTooHigh, problem{422, "fee_too_high", "", "", "The fee is higher than max_fee.", numbers{}}},
	{capycoin.ErrInsufficientFunds, problem{422, "insufficient_funds", transactionError, "SenderAccountNotEnoughFunds", "The sender has less than the amount and the fee.", numbers{}}},
	{capycoin.ErrTooManyTokens, problem{422, "too_many_tokens", "", "", "The account has 10 live tokens, as many as there can be; revoke one.", numbers{}}},
	{capycoin.ErrSeedToken, problem{422, "seed_account_has_no_token", "", "", "The seed account can't have a token; only the trusted side spends from it.", numbers{}}},
	{capycoin.ErrFeeToken, problem{422, "fee_account_has_no_token", "", "", "The account of the fees can't have a token; only stipends take coins from it.", numbers{}}},
	{capycoin.ErrNoKey, problem{422, "account_has_no_key", "", "", "The account was opened without a public key, and stays so.", numbers{}}},
	{capycoin.ErrKeyVersion, problem{422, "key_version_mismatch", "", "", "key_version is not that of the account's present key; ask for the account to see which it is.", numbers{}}},
	{capycoin.ErrTransactionNotFound, problem{404, "transaction_not_found", transactionError, "TransactionDoesNotExist", "There is no such transaction, or the account is no party to it.", numbers{}}},
	{capycoin.ErrTokenNotFound, problem{404, "token_not_found", "", "", "The account has no such live token.", numbers{}}},
	{capycoin.ErrInviteNotFound, problem{404, "invite_not_found", "", "", "There is no such invite, or it was used, revoked or has expired.", numbers{}}},
	{capycoin.ErrAccountNotFound, problem{404, "account_not_found", accountError, "AccountDoesNotExist", "There is no account with this id.", numbers{}}},
	{capycoin.ErrBadCursor, badRequest("cursor", "cursor is not one of this listing; take it from next_cursor, with the same order, start and end or none.")},
	{capycoin.ErrBadRange, badRequest("end", "The range ends before it starts.")},
	{capycoin.ErrBadLabel, badRequest("label", "A label has at most 64 characters, none of them a control character.")},
	{capycoin.ErrBadExpiry, badRequest("expires", "expires has to be after now and at most 30 days off.")},
	// Certainly nothing was applied. Damage stops the ledger, so who finds it is
	// told what later callers are.
	{capycoin.ErrStopped, unavailable(stopped)},
	{capycoin.ErrCorrupt, unavailable(stopped)},
	{capycoin.ErrNewerFormat, unavailable(stopped)},
	{capycoin.ErrClosed, unavailable("The server is shutting down. Nothing was applied.")},
	{capycoin.ErrDiskFull, unavailable("The server's disk is full: changes are declined until there is room, reads go on. Nothing was applied.")},
	{capycoin.ErrNotWritten, unavailable("The change could not be written. Nothing was applied.")},
	{capycoin.ErrBusy, unavailable("Too many tokens are being made or checked. Nothing was applied.")},
	{capycoin.ErrOutcomeUnknown, problem{500, "outcome_unknown", "", "", "The disk failed during the change, which may or may not be made. Look the payment up, or repeat it with the same key.", numbers{}}},
	{context.DeadlineExceeded, unavailable("Too many requests are waiting. Nothing was applied.")},
	{context.Canceled, unavailable("The request was given up. Nothing was applied.")},
}

const stopped = "A fault stopped the ledger. Nothing was applied."

func unavailable(detail string) problem {
	return problem{status: 503, code: "unavailable", detail: detail}
}

// badRequest is about a parameter, header or member that is not in form.
func badRequest(name, detail string) problem {
	return problem{status: 400, code: "bad_request", errorType: gatewayError, errorMessage: "Invalid format for `" + name + "`", detail: detail}
}

// badForm is badRequest as an error.
func badForm(name, format string, args ...any) error {
	p := badRequest(name, fmt.Sprintf(format, args...))
	return &p
}

// hasToBe is badForm about what a parameter, header or member has to be.
func hasToBe(name, format string, args ...any) error {
	return badForm(name, "%s has to be %s.", name, fmt.Sprintf(format, args...))
}

// problemOf returns what an error is answered with. One that is not listed is
// a bug.
func problemOf(err error) problem {
	var own *problem
	if errors.As(err, &own) {
		return *own
	}
	if known := lookUp(err); known != nil {
		p := *known
		if short := (*capycoin.InsufficientFundsError)(nil); errors.As(err, &short) {
			p.funds, p.required = &short.Funds, &short.Required
			if short.Required > capycoin.MaxSupply {
				p.detail += fmt.Sprintf(" No ledger has more than %d coins.", capycoin.MaxSupply)
			}
		}
		if dear := (*capycoin.FeeTooHighError)(nil); errors.As(err, &dear) {
			p.fee, p.maxFee = &dear.Fee, &dear.MaxFee
		}
		if batch := (*capycoin.BatchError)(nil); errors.As(err, &batch) {
			p.index = &batch.Index
		}
		return p
	}
	return problem{status: 500, code: "internal", detail: "This is a bug. The server's log has it under the request's id."}
}

// lookUp finds the outermost error that is listed. What it wraps is only its
// cause: a store may fail with an error that alone would mean that nothing was
// applied, and all that is known is ErrOutcomeUnknown.
func lookUp(err error) *problem {
	for i := range problems {
		if err == problems[i].err {
			return &problems[i].problem
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return lookUp(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if p := lookUp(inner); p != nil {
				return p
			}
		}
	}
	return nil
}

// append writes a problem as JSON.
func (p *problem) append(b []byte) []byte {
	b = append(b, `{"type":"about:blank","title":`...)
	b = appendString(b, http.StatusText(p.status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, p.detail)
	b = append(b, `,"code":`...)
	b = appendString(b, p.code)
	if p.errorType != "" {
		b = append(b, `,"error_type":`...)
		b = appendString(b, p.errorType)
		b = append(b, `,"error_message":`...)
		b = appendString(b, p.errorMessage)
	}
	if p.funds != nil {
		b = append(b, `,"funds":`...)
		b = strconv.AppendInt(b, int64(*p.funds), 10)
		b = append(b, `,"required":`...)
		b = strconv.AppendInt(b, int64(*p.required), 10)
	}
	if p.fee != nil {
		b = append(b, `,"fee":`...)
		b = strconv.AppendInt(b, int64(*p.fee), 10)
		b = append(b, `,"max_fee":`...)
		b = strconv.AppendInt(b, int64(*p.maxFee), 10)
	}
	if p.index != nil {
		b = append(b, `,"index":`...)
		b = strconv.AppendInt(b, int64(*p.index), 10)
	}
	return append(b, '}')
}

// appendString writes a string as JSON.
func appendString(b []byte, s string) []byte {
	plain := true // problems are, and a batch may have a thousand
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\' && s[i] != '<' && s[i] != '>' && s[i] != '&'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	q, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a form
	}
	return append(b, q...)
}

// fail answers with what an error stands for.
func (x *exchange) fail(err error) {
	p := problemOf(err)
	x.code = p.code
	x.metrics.declined(p.code)
	// Of a full disk the ledger itself tells, once.
	told := err == errPanic || p.status == 503 && errors.Is(err, capycoin.ErrDiskFull)
	if p.status >= 500 && !told {
		x.logger.Error("request failed", "request", x.id, "code", p.code, "cause", err)
	}
	if x.w.status != 0 {
		return // too late for another answer
	}
	h := x.w.Header()
	switch p.code {
	case "token_required":
		h.Set("WWW-Authenticate", `Bearer realm="capycoin"`)
	case "invalid_token":
		h.Set("WWW-Authenticate", `Bearer realm="capycoin", error="invalid_token"`)
	case "unavailable":
		h.Set("Retry-After", "1")
	}
	x.send(p.status, typeProblem, append(p.append(nil), '\n'))
}

// send writes a reply, whole.
func (x *exchange) send(status int, contentType []string, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = contentType
	if len(body) >= longBody {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(status)
	x.w.Write(body) // its reader may be gone; there is nobody to tell
}

// longReplies are the buffers of replies that are long: making and collecting a
// new one took a third of the time of a page.
var longReplies = sync.Pool{New: func() any { return new([]byte) }}

// longReply returns an empty buffer with room for a reply of some bytes, and what
// gives it back when the reply was sent.
func longReply(size int) (b []byte, done func()) {
	buffer := longReplies.Get().(*[]byte)
	*buffer = slices.Grow((*buffer)[:0], size)
	return *buffer, func() { longReplies.Put(buffer) }
}

// sendJSON writes a reply of 200.
func (x *exchange) sendJSON(body []byte) error {
	x.send(http.StatusOK, typeJSON, append(body, '\n'))
	return nil
}
