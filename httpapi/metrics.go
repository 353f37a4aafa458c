package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/capycoin/capycoin"
)

// metrics counts what the handlers do; what the ledger counts itself is read
// when it is asked for. They have a registry of their own, not the global one.
type metrics struct {
	handler   http.Handler
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	transfers prometheus.Counter
	declines  *prometheus.CounterVec
	batches   prometheus.Histogram
}

func newMetrics(led *capycoin.Ledger, iss *capycoin.TokenIssuer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "capycoin_requests_total",
			Help: "Requests answered, by side, route, method and status."}, []string{"side", "route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "capycoin_request_seconds",
			Help: "How long requests took, by side and route.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)}, []string{"side", "route"}),
		transfers: prometheus.NewCounter(prometheus.CounterOpts{Name: "capycoin_transfers_total", Help: "Transfers made over HTTP."}),
		declines: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "capycoin_declines_total",
			Help: "Problems answered, each of a batch too, by code."}, []string{"code"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "capycoin_batch_transfers",
			Help: "Transfers of each batch over HTTP.", Buckets: prometheus.ExponentialBuckets(1, 4, 8)}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.requests, m.seconds, m.transfers, m.declines, m.batches, &ledgerCollector{led, iss},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) request(side, method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(side, route, method, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(side, route).Observe(took.Seconds())
}

// tally counts the requests of an endpoint that most are: of its own method
// and answered 200. It looks their labels up only once, at the first of them:
// there is no series of what was never asked for.
type tally struct {
	once     sync.Once
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func (t *tally) request(m *metrics, side, method, route string, took time.Duration) {
	t.once.Do(func() {
		t.requests = m.requests.WithLabelValues(side, route, method, "200")
		t.seconds = m.seconds.WithLabelValues(side, route)
	})
	t.requests.Inc()
	t.seconds.Observe(took.Seconds())
}

func (m *metrics) transferred(n int)    { m.transfers.Add(float64(n)) }
func (m *metrics) declined(code string) { m.declines.WithLabelValues(code).Inc() }
func (m *metrics) batch(n int)          { m.batches.Observe(float64(n)) }

func serveMetrics(x *exchange) error {
	x.metrics.handler.ServeHTTP(x.w, x.r)
	return nil
}

// ledgerCollector reads what the ledger and the issuer count.
type ledgerCollector struct {
	led *capycoin.Ledger
	iss *capycoin.TokenIssuer
}

var (
	commitRecords = desc("commit_records", "Records of each commit.")
	commitSeconds = desc("commit_seconds", "How long each commit took.")

	ledgerValues = []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value func(*capycoin.Stats) float64
	}{
		{desc("journal_records", "Records in the journal."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.Position) }},
		{desc("fold_lag_records", "Records whose effects are not all in the rows, which a restart would replay."), prometheus.GaugeValue,
			func(s *capycoin.Stats) float64 { return float64(s.Position - s.FoldPosition) }},
		{desc("witness_position", "Up to which record the witness has seen the ledger; 0: there is none."), prometheus.GaugeValue,
			func(s *capycoin.Stats) float64 { return float64(s.WitnessPosition) }},
		{desc("accounts", "Accounts, the seed account too."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.Accounts) }},
		{desc("transactions", "Transactions ever made."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.Transactions) }},
		{desc("signatures_total", signaturesHelp, "outcome", "valid"), prometheus.CounterValue,
			func(s *capycoin.Stats) float64 { return float64(s.ValidSignatures) }},
		{desc("signatures_total", signaturesHelp, "outcome", "invalid"), prometheus.CounterValue,
			func(s *capycoin.Stats) float64 { return float64(s.InvalidSignatures) }},
		{desc("stipend_day_seconds", "When the day of the last stipend began, in seconds since 1970; 0: there was none."), prometheus.GaugeValue,
			func(s *capycoin.Stats) float64 {
				if s.Stipend.Position == 0 {
					return 0
				}
				return float64(s.Stipend.Day.Unix())
			}},
		{desc("stipend_payees", "Accounts that the last stipend is for."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.Stipend.Payees) }},
		{desc("stipend_paid", "Of them, those that it was paid to."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.Stipend.Paid) }},
		{desc("stipend_share", "Coins that each of them gets."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.Stipend.Share) }},
		{desc("disk_full", "1 while changes are declined because there is no room for them, else 0."), prometheus.GaugeValue,
			func(s *capycoin.Stats) float64 {
				if s.DiskFull {
					return 1
				}
				return 0
			}},
		{desc("queue_length", "Calls that wait for the writer."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.QueueLength) }},
		{desc("queue_size", "Calls that may wait for the writer."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.QueueSize) }},
		{desc("cached_accounts", "Accounts in memory."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.CachedAccounts) }},
		{desc("dirty_accounts", "Accounts in memory that are newer than their rows."), prometheus.GaugeValue,
			func(s *capycoin.Stats) float64 { return float64(s.DirtyAccounts) }},
		{desc("fresh_keys", "Idempotency keys in memory."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.FreshKeys) }},
		{desc("file_bytes", "Size of the ledger's file."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.FileSize) }},
		{desc("free_pages", "Pages of the file that hold nothing."), prometheus.GaugeValue, func(s *capycoin.Stats) float64 { return float64(s.FreePages) }},
		{desc("spill_seconds_total", "Time that bbolt took to lay out pages."), prometheus.CounterValue,
			func(s *capycoin.Stats) float64 { return s.SpillTime.Seconds() }},
		{desc("write_seconds_total", "Time that bbolt took to write and sync pages."), prometheus.CounterValue,
			func(s *capycoin.Stats) float64 { return s.WriteTime.Seconds() }},
	}

	feeAccountFunds = desc("fee_account_funds", "Coins in the account of the fees, which stipends have not paid out.")

	policyValues = []struct {
		desc  *prometheus.Desc
		value func(*capycoin.FeePolicy) float64
	}{
		{desc("fee_flat", "Coins that are part of each fee."), func(p *capycoin.FeePolicy) float64 { return float64(p.Flat) }},
		{desc("fee_basis_points", "Hundredths of a percent of the amount that are part of each fee."), func(p *capycoin.FeePolicy) float64 { return float64(p.BasisPoints) }},
		{desc("fee_min", "The least fee."), func(p *capycoin.FeePolicy) float64 { return float64(p.Min) }},
		{desc("fee_max", "The highest fee; 0: there is none."), func(p *capycoin.FeePolicy) float64 { return float64(p.Max) }},
	}

	issuerValues = []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value func(*capycoin.TokenStats) float64
	}{
		{desc("bcrypt_runs_total", "Tokens hashed, new ones and presented ones."), prometheus.CounterValue,
			func(s *capycoin.TokenStats) float64 { return float64(s.HashRuns) }},
		{desc("bcrypt_running", "Tokens being hashed right now."), prometheus.GaugeValue, func(s *capycoin.TokenStats) float64 { return float64(s.Hashing) }},
		{desc("token_cache_hits_total", "Tokens presented that were remembered."), prometheus.CounterValue,
			func(s *capycoin.TokenStats) float64 { return float64(s.CacheHits) }},
		{desc("token_cache_misses_total", "Tokens presented that were not remembered."), prometheus.CounterValue,
			func(s *capycoin.TokenStats) float64 { return float64(s.CacheMisses) }},
	}
)

const signaturesHelp = "Signatures of transfers verified, by outcome."

// desc describes a value, which may have a label.
func desc(name, help string, label ...string) *prometheus.Desc {
	var labels prometheus.Labels
	if len(label) > 0 {
		labels = prometheus.Labels{label[0]: label[1]}
	}
	return prometheus.NewDesc("capycoin_"+name, help, nil, labels)
}

// Describe implements [prometheus.Collector].
func (c *ledgerCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- commitRecords
	ch <- commitSeconds
	for _, v := range ledgerValues {
		ch <- v.desc
	}
	ch <- feeAccountFunds
	for _, v := range policyValues {
		ch <- v.desc
	}
	for _, v := range issuerValues {
		ch <- v.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *ledgerCollector) Collect(ch chan<- prometheus.Metric) {
	s, t := c.led.Stats(), c.iss.Stats()
	ch <- constHistogram(commitRecords, &s.Commits, 1)
	ch <- constHistogram(commitSeconds, &s.CommitTime, 1e-6)
	for _, v := range ledgerValues {
		ch <- prometheus.MustNewConstMetric(v.desc, v.kind, v.value(&s))
	}
	c.collectFees(ch)
	for _, v := range issuerValues {
		ch <- prometheus.MustNewConstMetric(v.desc, v.kind, v.value(&t))
	}
}

// collectFees reads what is not among the ledger's own numbers, and leaves out what a
// ledger that has stopped does not tell.
func (c *ledgerCollector) collectFees(ch chan<- prometheus.Metric) {
	ctx := context.Background()
	if policy, _, err := c.led.FeePolicy(ctx); err == nil {
		for _, v := range policyValues {
			ch <- prometheus.MustNewConstMetric(v.desc, prometheus.GaugeValue, v.value(&policy))
		}
	}
	acct, err := c.led.Account(ctx, capycoin.FeeAccount())
	if err == nil || errors.Is(err, capycoin.ErrAccountNotFound) { // without a policy there is none
		ch <- prometheus.MustNewConstMetric(feeAccountFunds, prometheus.GaugeValue, float64(acct.Funds))
	}
}

// constHistogram turns a ledger's histogram, in some unit, into Prometheus's,
// whose buckets count all that is below.
func constHistogram(d *prometheus.Desc, h *capycoin.Histogram, unit float64) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Buckets))
	below := uint64(0)
	for i, n := range h.Buckets {
		below += n
		buckets[float64(uint64(1)<<i)*unit] = below
	}
	return prometheus.MustNewConstHistogram(d, h.Count, float64(h.Sum)*unit, buckets)
}
