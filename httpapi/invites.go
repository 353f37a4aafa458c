package httpapi

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/capycoin/capycoin"
)

func serveNewInvite(x *exchange) error {
	var req capycoin.InviteRequest
	err := x.parseLabelled(&req.Label, &req.Expires)
	var inv capycoin.IssuedInvite
	if err == nil {
		inv, err = x.iss.Invite(x.patience.begin(), req)
	}
	if errors.Is(err, capycoin.ErrBadExpiry) {
		return hasToBe("expires", "after now and at most 365 days off")
	}
	if err != nil {
		return err
	}
	x.note(idAttr("invite_id", inv.ID), slog.Time("expires", inv.Expires))
	b := appendID([]byte(`{"invite_id":"`), inv.ID)
	b = append(b, `","invite":"`...)
	b = append(b, inv.Code...)
	b = append(b, `","invite_expiry":"`...)
	b = appendTime(b, inv.Expires)
	b = append(b, `","label":`...)
	return x.sendJSON(append(appendString(b, inv.Label), '}'))
}

func serveInvites(x *exchange) error {
	page, err := x.iss.InvitePage(x.r.Context(), x.listing.Cursor, x.listing.Limit)
	if err != nil {
		return err
	}
	b := []byte(`{"invites":[`)
	for i, inv := range page.Invites {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendListed(b, "invite", inv.ID, inv.Label, inv.Created, inv.Expires)
	}
	return x.sendPage(append(b, ']'), page.Next, x.listing.Limit)
}

func serveRevokeInvite(x *exchange) error {
	x.note(idAttr("invite_id", x.object))
	if err := x.iss.RevokeInvite(x.patience.begin(), x.object); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
