package lab

import (
	"slices"
	"time"
)

// Quantile returns the value that share of values lie below: 0.5 is the median.
// It sorts values.
func Quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(share*float64(len(values))))]
}
