package capycoin_test

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
)

// openWithToken opens an account with its first token.
func (m *machine) openWithToken(t *rapid.T) {
	clock := m.clock.now()
	var accounts []capycoin.Account
	var tokens []capycoin.IssuedToken
	for _, s := range m.subjects {
		account, token, err := s.issuer.OpenAccount(ctx)
		if err != nil {
			t.Fatalf("%s: TokenIssuer.OpenAccount: got error %v, want none", s.name, err)
		}
		accounts, tokens = append(accounts, account), append(tokens, token)
	}
	expires := micros(m.now(clock)).Add(capycoin.DefaultTokenLife)
	want := m.model.openAccount(accounts[0].ID, clock)
	wantToken := m.model.issue(want.ID, "", expires, "", clock)
	for i, s := range m.subjects {
		compare(t, s, "TokenIssuer.OpenAccount", accounts[i], nil, want, nil)
		m.noteToken(t, s, tokens[i], wantToken)
	}
}

// noteToken compares a new token with the model's and keeps its secret.
func (m *machine) noteToken(t *rapid.T, s *subject, got, want capycoin.IssuedToken) {
	t.Helper()
	compare(t, s, "an issued token", got.Token, nil, want.Token, nil)
	if len(got.Secret) != 256 || strings.Trim(got.Secret, "0123456789ABCDEF") != "" {
		t.Fatalf("%s: got the secret %q, want 256 upper-case hexadecimal digits", s.name, got.Secret)
	}
	s.secrets[want.ID] = got.Secret
}

// useTokens issues, revokes, lists and verifies tokens.
func (m *machine) useTokens(t *rapid.T) {
	account := m.order[min(len(m.order)-1, rapid.IntRange(0, 3).Draw(t, "account"))]
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0, 1:
		m.issueToken(t, account)
	case 2:
		m.revokeToken(t)
	case 3:
		for range rapid.IntRange(1, 11).Draw(t, "tokens") {
			m.issueToken(t, account)
		}
	case 4:
		if len(m.tokens) > 0 {
			account = m.expire(t)
		}
	}
	for _, id := range []uuid.UUID{account, m.unknown} {
		want := m.live(id, m.clock.now())
		var wantErr error
		if m.model.accounts[id] == nil {
			want, wantErr = nil, capycoin.ErrAccountNotFound
		}
		for _, s := range m.subjects {
			got, err := s.issuer.List(ctx, id)
			compare(t, s, "List", got, err, want, wantErr)
		}
	}
	if len(m.tokens) > 0 {
		token := rapid.SampledFrom(m.tokens).Draw(t, "token")
		for _, s := range m.subjects {
			m.compareVerify(t, s, token)
		}
	}
}

// expire has something recorded at about the time at which a token expires, while
// the clock is there for a moment. It returns the token's account.
func (m *machine) expire(t *rapid.T) uuid.UUID {
	token := rapid.SampledFrom(m.tokens).Draw(t, "token that expires")
	now := m.clock.now()
	m.clock.set(token.Expires.Add(rapid.SampledFrom([]time.Duration{-time.Microsecond, 0, time.Microsecond}).Draw(t, "off by")))
	m.openAccounts(t)
	m.clock.set(now)
	return token.Account
}

func (m *machine) issueToken(t *rapid.T, account uuid.UUID) {
	clock := m.clock.now()
	now := micros(m.now(clock))
	request := capycoin.TokenRequest{
		Label: rapid.SampledFrom([]string{"", "phone", strings.Repeat("ä", 64), strings.Repeat("ä", 65), "a\nb", "\xff"}).Draw(t, "label"),
		Expires: rapid.SampledFrom([]time.Time{
			{}, {}, now.Add(time.Hour), now.Add(time.Microsecond), now.Add(time.Microsecond + 1),
			now, now.Add(999), now.Add(-time.Hour), now.Add(capycoin.DefaultTokenLife), now.Add(capycoin.DefaultTokenLife + time.Microsecond),
		}).Draw(t, "expires"),
	}
	expires := now.Add(capycoin.DefaultTokenLife)
	if !request.Expires.IsZero() {
		expires = request.Expires.Truncate(time.Microsecond)
	}
	var wantErr error
	switch {
	case !utf8.ValidString(request.Label) || strings.Contains(request.Label, "\n") || utf8.RuneCountInString(request.Label) > 64:
		wantErr = capycoin.ErrBadLabel
	case !expires.After(now) || expires.After(now.Add(capycoin.DefaultTokenLife)):
		wantErr = capycoin.ErrBadExpiry
	case account == m.seed:
		wantErr = capycoin.ErrSeedToken
	case account == capycoin.FeeAccount():
		wantErr = capycoin.ErrFeeToken
	case len(m.live(account, clock)) >= capycoin.MaxTokens:
		wantErr = capycoin.ErrTooManyTokens
	}
	var want capycoin.IssuedToken
	if wantErr == nil {
		want = m.model.issue(account, request.Label, expires, "", clock)
	}
	for _, s := range m.subjects {
		got, err := s.issuer.Issue(ctx, account, request)
		compare(t, s, fmt.Sprintf("Issue %+v", request), got.Token, err, want.Token, wantErr)
		if err == nil {
			m.noteToken(t, s, got, want)
		}
	}
}

func (m *machine) revokeToken(t *rapid.T) {
	if len(m.tokens) == 0 {
		return
	}
	token := rapid.SampledFrom(m.tokens).Draw(t, "token")
	account := token.Account
	if rapid.IntRange(0, 3).Draw(t, "of another account") == 0 {
		account = m.drawAccount(t, "account")
	}
	var wantErr error
	if account != token.Account || !m.valid(token, m.clock.now()) {
		wantErr = capycoin.ErrTokenNotFound
	} else {
		m.record(m.clock.now())
		token.revoked = true
	}
	for _, s := range m.subjects {
		err := s.issuer.Revoke(ctx, account, token.ID)
		compare(t, s, "Revoke", 0, err, 0, wantErr)
	}
}

// compareVerify presents a token: as it was issued, in lower case, and with a
// digit changed, which never lets anyone in.
func (m *machine) compareVerify(t *rapid.T, s *subject, token *modelToken) {
	t.Helper()
	secret := s.secrets[token.ID]
	var want capycoin.Token
	var wantErr error = capycoin.ErrInvalidToken
	if m.valid(token, m.clock.now()) {
		want, wantErr = token.Token, nil
	}
	for _, presented := range []string{secret, strings.ToLower(secret)} {
		got, err := s.issuer.Verify(ctx, presented)
		compare(t, s, "Verify", got, err, want, wantErr)
	}
	digit := "0"
	if strings.HasSuffix(secret, digit) {
		digit = "1"
	}
	got, err := s.issuer.Verify(ctx, secret[:255]+digit)
	compare(t, s, "Verify with a wrong digit", got, err, capycoin.Token{}, capycoin.ErrInvalidToken)
}
