// Package billing computes what usage costs. Everything in it is a pure function
// of usage intervals and time, so that an outage is caught up later, a crash
// cannot bill twice, and a replay reproduces every total.
package billing

import (
	"math/bits"
	"time"

	"github.com/skypanel/sky/models"
)

// Cost is the price of having run for so long, rounded half up to a millionth.
// Negative durations cost nothing. The product is computed in 128 bits, so that
// no price and duration that a row can hold overflow.
func Cost(priceHour models.Money, ran time.Duration) models.Money {
	if ran <= 0 || priceHour <= 0 {
		return 0
	}
	const hour = uint64(time.Hour / time.Microsecond)
	high, low := bits.Mul64(uint64(priceHour), uint64(ran/time.Microsecond))
	low, carry := bits.Add64(low, hour/2, 0)
	quotient, _ := bits.Div64(high+carry, low, hour)
	return models.Money(quotient)
}

// Between is what the interval costs from one time to another, both since its
// start. Sums over adjoining times equal the cost of the whole, to the millionth:
// each is the difference of two totals.
func Between(interval models.UsageInterval, from, to time.Time) models.Money {
	return Cost(interval.PriceHour, to.Sub(interval.StartedAt)) - Cost(interval.PriceHour, from.Sub(interval.StartedAt))
}

// Limit is up to when the interval can be billed now: its end, or the last full
// hour while it runs.
func Limit(interval models.UsageInterval, now time.Time) time.Time {
	if interval.EndedAt != nil {
		return *interval.EndedAt
	}
	return now.UTC().Truncate(time.Hour)
}

// Records returns what is to be billed now of the interval, one record per clock
// hour. Free usage has none.
func Records(interval models.UsageInterval, now time.Time) []models.BillingRecord {
	if interval.PriceHour == 0 {
		return nil
	}
	limit := Limit(interval, now)
	var records []models.BillingRecord
	for from := interval.BilledUntil.UTC(); from.Before(limit); {
		hour := from.Truncate(time.Hour)
		to := hour.Add(time.Hour)
		if to.After(limit) {
			to = limit
		}
		records = append(records, models.BillingRecord{
			OrganisationID: interval.OrganisationID, IntervalID: interval.ID, Hour: hour,
			UsedMicros: to.Sub(from).Microseconds(), Amount: Between(interval, from, to),
		})
		from = to
	}
	return records
}

// Owed is the total of what the interval has cost up to BilledUntil: what its
// records must add up to.
func Owed(interval models.UsageInterval) models.Money {
	return Cost(interval.PriceHour, interval.BilledUntil.Sub(interval.StartedAt))
}

// Month names the month that a time is in: "2026-11".
func Month(at time.Time) string { return at.UTC().Format("2006-01") }

// MonthBounds returns the first moment of the named month, and of the next one.
func MonthBounds(month string) (from, to time.Time, err error) {
	from, err = time.Parse("2006-01", month)
	if err != nil {
		return from, to, models.Errorf(models.Invalid, "%q is not a month", month).WithField("month").WithRemedy("write it as 2026-11")
	}
	return from, from.AddDate(0, 1, 0), nil
}

// Standing is what decides whether an Organisation may go on.
type Standing struct {
	Wallet    models.Wallet
	Suspended bool         // for want of funds
	Held      bool         // suspended for another reason, which funds do not lift
	HourCost  models.Money // of what runs now, per hour
	MonthCost models.Money // of this month so far
	Grace     time.Duration
	LowBefore time.Duration // a balance that lasts shorter is low
}

// Verdict is what to do about an Organisation. The wallet's new marks are in
// Wallet; each flag is set once per occasion.
type Verdict struct {
	Wallet    models.Wallet
	NoticeLow bool // funds will not last
	NoticeOut bool // funds are used up: the grace begins
	Alert     bool // the month's spending passed the alert
	Suspend   bool
	Resume    bool
}

// Judge decides, and never twice the same for the same occasion.
func Judge(standing Standing, now time.Time) Verdict {
	verdict := Verdict{Wallet: standing.Wallet}
	wallet := &verdict.Wallet
	switch {
	case wallet.Balance < 0 || (wallet.Balance == 0 && standing.HourCost > 0):
		if wallet.GraceUntil == nil {
			until := now.Add(standing.Grace)
			wallet.GraceUntil, verdict.NoticeOut = &until, true
		}
		verdict.Suspend = !standing.Suspended && !standing.Held && !now.Before(*wallet.GraceUntil)
	default:
		wallet.GraceUntil = nil
		verdict.Resume = standing.Suspended
	}
	enough := Cost(standing.HourCost, standing.LowBefore)
	switch {
	case wallet.Balance >= enough:
		wallet.LowBalanceAt = nil
	case wallet.LowBalanceAt == nil && wallet.GraceUntil == nil:
		wallet.LowBalanceAt, verdict.NoticeLow = &now, true
	}
	if wallet.SpendingAlert > 0 && standing.MonthCost >= wallet.SpendingAlert && wallet.SpendingAlerted != Month(now) {
		wallet.SpendingAlerted, verdict.Alert = Month(now), true
	}
	return verdict
}
