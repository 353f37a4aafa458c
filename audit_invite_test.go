package capycoin_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// TestAuditFindsInvites is TestAuditFinds for invites: their records, and their
// rows. What is planted may be at odds with more than one thing, so each has to
// be told in its own words.
func TestAuditFindsInvites(t *testing.T) {
	row := func(t *testing.T, w *auditWorld, inv *record.Invite, row *accounts.TokenRow) {
		t.Helper()
		s := inv.Selector()
		var value []byte
		if row != nil {
			value = wire.AppendRow(nil, s[:], accounts.AppendToken(nil, *row))
		}
		w.put(t, store.TableTokens, s[:], value)
	}
	end := func(t *testing.T, w *auditWorld, position uint64, change func(e *record.InviteEnd)) {
		t.Helper()
		w.record(t, position, func(r *record.Record) { change(r.Body.(*record.InviteEnd)) })
	}
	live := func(w *auditWorld) uint64 { return w.invite.Position }
	used := func(w *auditWorld) uint64 { return w.usedEnd }
	after := func(w *auditWorld) uint64 { return w.usedEnd + 1 }
	for name, tt := range map[string]struct {
		plant    func(t *testing.T, w *auditWorld)
		kind     string
		position func(w *auditWorld) uint64
		says     string
	}{
		"used twice": {func(t *testing.T, w *auditWorld) {
			end(t, w, after(w), func(e *record.InviteEnd) { e.Invite = w.used.Position })
		}, capycoin.FaultInvite, after, "no invite or had ended before"},
		"used, that nobody made": {func(t *testing.T, w *auditWorld) {
			end(t, w, used(w), func(e *record.InviteEnd) { e.Invite = w.live.Position })
		}, capycoin.FaultInvite, used, "no invite or had ended before"},
		"used when it had expired": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.used.Position, func(r *record.Record) { r.Body.(*record.Invite).Expires = r.Time + 1 })
		}, capycoin.FaultInvite, used, "had expired"},
		"of an account opened before": {func(t *testing.T, w *auditWorld) {
			end(t, w, used(w), func(e *record.InviteEnd) { e.Account = w.a })
		}, capycoin.FaultInvite, used, "opened right before"},
		"of an account that only got a token": {func(t *testing.T, w *auditWorld) {
			w.record(t, used(w)-1, func(r *record.Record) { r.Body.(*record.Token).Account = w.a })
			end(t, w, used(w), func(e *record.InviteEnd) { e.Account = w.a })
		}, capycoin.FaultInvite, used, "opened right before"},
		"of an account whose token is another's": {func(t *testing.T, w *auditWorld) {
			w.record(t, used(w)-1, func(r *record.Record) { r.Body.(*record.Token).Account = w.a })
		}, capycoin.FaultInvite, used, "opened right before"},
		"of an account with two tokens": {func(t *testing.T, w *auditWorld) {
			var tok record.Token
			w.record(t, used(w)-1, func(r *record.Record) { tok = *r.Body.(*record.Token) })
			w.record(t, used(w), func(r *record.Record) {
				r.Kind, r.Body = record.KindToken, &tok
				r.Body.(*record.Token).Selector[0]++
			})
			end(t, w, after(w), func(e *record.InviteEnd) { e.Account = w.c })
		}, capycoin.FaultInvite, after, "opened right before"},
		"of an account opened by another": {func(t *testing.T, w *auditWorld) {
			end(t, w, after(w), func(e *record.InviteEnd) { e.Account = w.c })
		}, capycoin.FaultInvite, after, "opened right before"},
		"of an account that is not there": {func(t *testing.T, w *auditWorld) {
			end(t, w, used(w), func(e *record.InviteEnd) { e.Account = uuid.New() })
		}, capycoin.FaultAccount, used, "never opened"},
		"two of one code": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.invite.Position, func(r *record.Record) { r.Body.(*record.Invite).Hash = w.revoked.Hash })
		}, capycoin.FaultInvite, live, "is that of record"},
		"without a row": {func(t *testing.T, w *auditWorld) { row(t, w, &w.invite, nil) }, capycoin.FaultInvite, live, "leads nowhere"},
		"a row that lives longer": {func(t *testing.T, w *auditWorld) {
			row(t, w, &w.invite, &accounts.TokenRow{Position: w.invite.Position, Expires: w.invite.Expires + 1, Invite: true})
		}, capycoin.FaultInvite, live, "not that invite"},
		"a row of a token": {func(t *testing.T, w *auditWorld) {
			row(t, w, &w.invite, &accounts.TokenRow{Position: w.invite.Position, Expires: w.invite.Expires})
		}, capycoin.FaultToken, live, "not that token"},
		"a row of one that was used": {func(t *testing.T, w *auditWorld) {
			row(t, w, &w.used, &accounts.TokenRow{Position: w.used.Position, Expires: w.used.Expires, Invite: true})
		}, capycoin.FaultInvite, func(w *auditWorld) uint64 { return w.used.Position }, "by the journal to 0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuditWorld(t)
			tt.plant(t, w)
			led := w.open(t)
			defer led.Close()
			rep, err := led.Audit(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(rep.Faults, func(f capycoin.AuditFault) bool {
				return f.Kind == tt.kind && f.Position == tt.position(w) && strings.Contains(f.Detail, tt.says)
			}) {
				t.Errorf("got faults %v, want one of kind %s of record %d that says %q", rep.Faults, tt.kind, tt.position(w), tt.says)
			}
		})
	}
}
