package engine

// Histogram counts observations by size. Buckets[i] counts those that are at
// most 2^i and more than 2^(i-1); larger ones than 2^23 are only in Count.
type Histogram struct {
	Count   uint64
	Sum     uint64
	Buckets [24]uint64
}

// observe adds a value.
func (h *Histogram) observe(v uint64) {
	h.Count++
	h.Sum += v
	for i := range h.Buckets {
		if v <= 1<<i {
			h.Buckets[i]++
			return
		}
	}
}
