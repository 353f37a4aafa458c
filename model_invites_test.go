package capycoin_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
)

// useInvites makes, uses, revokes and lists invites.
func (m *machine) useInvites(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "invites") {
		what := rapid.IntRange(0, 5).Draw(t, "what")
		if what < 3 || len(m.invites) == 0 {
			m.makeInvite(t)
			continue
		}
		inv := rapid.SampledFrom(m.invites).Draw(t, "invite")
		if what < 5 {
			m.useInvite(t, inv)
		} else {
			m.revokeInvite(t, inv)
		}
	}
	want := m.goodInvites(m.clock.now())
	limit := rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "limit")
	for _, s := range m.subjects {
		got := []capycoin.Invite{}
		for cursor, more := "", true; more; more = cursor != "" {
			page, err := s.issuer.InvitePage(ctx, cursor, limit)
			if err != nil || len(page.Invites) > limit {
				t.Fatalf("%s: InvitePage of %d: got %+v, error %v", s.name, limit, page, err)
			}
			got, cursor = slices.Concat(got, page.Invites), page.Next
		}
		compare(t, s, "the invites", got, nil, want, nil)
	}
}

func (m *machine) makeInvite(t *rapid.T) {
	clock := m.clock.now()
	now := micros(m.now(clock))
	request := capycoin.InviteRequest{
		Label: rapid.SampledFrom([]string{"", "Ann", "a\nb"}).Draw(t, "label"),
		Expires: rapid.SampledFrom([]time.Time{
			{}, {}, now.Add(time.Hour), now.Add(time.Microsecond), now, now.Add(999),
			now.Add(capycoin.MaxInviteLife), now.Add(capycoin.MaxInviteLife + time.Microsecond),
		}).Draw(t, "expires"),
	}
	expires := now.Add(capycoin.DefaultInviteLife)
	if !request.Expires.IsZero() {
		expires = request.Expires.Truncate(time.Microsecond)
	}
	var wantErr error
	switch {
	case strings.Contains(request.Label, "\n"):
		wantErr = capycoin.ErrBadLabel
	case !expires.After(now) || expires.After(now.Add(capycoin.MaxInviteLife)):
		wantErr = capycoin.ErrBadExpiry
	}
	var want capycoin.Invite
	if wantErr == nil {
		want = m.model.invite(request.Label, expires, clock).Invite
	}
	for _, s := range m.subjects {
		got, err := s.issuer.Invite(ctx, request)
		compare(t, s, fmt.Sprintf("Invite %+v", request), got.Invite, err, want, wantErr)
		s.codes[want.ID] = got.Code
	}
}

// useInvite opens an account by an invite, which may have ended.
func (m *machine) useInvite(t *rapid.T, inv *modelInvite) {
	clock := m.clock.now()
	if !m.good(inv, clock) {
		for _, s := range m.subjects {
			account, _, err := s.issuer.OpenInvited(ctx, s.codes[inv.ID])
			compare(t, s, "OpenInvited", account, err, capycoin.Account{}, capycoin.ErrInvalidInvite)
		}
		return
	}
	var accounts []capycoin.Account
	var tokens []capycoin.IssuedToken
	for _, s := range m.subjects {
		code := s.codes[inv.ID]
		if rapid.Bool().Draw(t, "lower case") {
			code = strings.ToLower(code)
		}
		account, token, err := s.issuer.OpenInvited(ctx, code)
		if err != nil {
			t.Fatalf("%s: OpenInvited: got error %v, want none", s.name, err)
		}
		accounts, tokens = append(accounts, account), append(tokens, token)
	}
	expires := micros(m.now(clock)).Add(capycoin.DefaultTokenLife)
	want := m.model.openAccount(accounts[0].ID, clock)
	wantToken := m.model.issue(want.ID, "", expires, "", clock)
	m.record(clock)
	inv.ended = true
	for i, s := range m.subjects {
		compare(t, s, "OpenInvited", accounts[i], nil, want, nil)
		m.noteToken(t, s, tokens[i], wantToken)
	}
}

func (m *machine) revokeInvite(t *rapid.T, inv *modelInvite) {
	id := inv.ID
	if rapid.IntRange(0, 3).Draw(t, "another id") == 0 {
		id = rapid.SampledFrom([]uuid.UUID{m.unknown, modelID(m.time, m.pos+1), m.seed}).Draw(t, "id")
	}
	var wantErr error
	if id != inv.ID || !m.good(inv, m.clock.now()) {
		wantErr = capycoin.ErrInviteNotFound
	} else {
		m.record(m.clock.now())
		inv.ended = true
	}
	for _, s := range m.subjects {
		err := s.issuer.RevokeInvite(ctx, id)
		compare(t, s, "RevokeInvite", 0, err, 0, wantErr)
	}
}
