package command

import (
	"fmt"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

// signUpFlags are the flags about who may open an account on the public API, and
// how many of them and of their tokens there may be.
type signUpFlags struct {
	policy            string
	perAddress, total int
	perAccount        int
	proxies           []string
}

func (f *signUpFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.policy, "signup", "open", "who may open an account on the public API: open (everybody), invite (who has one) or closed (nobody)")
	flags.IntVar(&f.perAddress, "signup-per-address", 60, "how many accounts one address may ask for a minute, 1 to 1000000, or 0 for no limit")
	flags.IntVar(&f.total, "signup-total", 600, "how many accounts all addresses may ask for a minute, 1 to 1000000, or 0 for no limit")
	flags.IntVar(&f.perAccount, "tokens-per-account", 20, "how many further tokens an account may ask for a minute, 1 to 1000000, or 0 for no limit")
	flags.StringSliceVar(&f.proxies, "trusted-proxies", nil, "`networks`, such as 127.0.0.1 or 10.0.0.0/8, of the proxies whose X-Forwarded-For says which address asks")
}

// options returns what the flags say of the API.
func (f *signUpFlags) options() (*httpapi.Options, error) {
	o := new(httpapi.Options)
	switch f.policy {
	case "open":
		o.SignUp = httpapi.SignUpOpen
	case "invite":
		o.SignUp = httpapi.SignUpInvite
	case "closed":
		o.SignUp = httpapi.SignUpClosed
	default:
		return nil, fmt.Errorf("--signup is %q; there are open, invite and closed", f.policy)
	}
	for _, limit := range []struct {
		name  string
		value int
		to    *int
	}{{"--signup-per-address", f.perAddress, &o.SignUpsPerAddress}, {"--signup-total", f.total, &o.SignUpsTotal}, {"--tokens-per-account", f.perAccount, &o.TokensPerAccount}} {
		if limit.value < 0 || limit.value > httpapi.MaxSignUps {
			return nil, fmt.Errorf("%s is %d; it has to be 1 to %d, or 0 for no limit", limit.name, limit.value, httpapi.MaxSignUps)
		}
		if *limit.to = limit.value; limit.value == 0 {
			*limit.to = -1
		}
	}
	for _, s := range f.proxies {
		network, err := netip.ParsePrefix(s)
		if addr, bad := netip.ParseAddr(s); bad == nil {
			network, err = netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
		}
		if err != nil || network.Addr().Is4In6() {
			return nil, cli.Hint(fmt.Errorf("--trusted-proxies has %q, which is no network", s),
				"name each by its address or in CIDR form, such as 127.0.0.1,10.0.0.0/8,fd00::/8; one of IPv4 not within IPv6")
		}
		o.TrustedProxies = append(o.TrustedProxies, network)
	}
	return o, nil
}
