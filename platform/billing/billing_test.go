package billing_test

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/billing"
	"github.com/stretchr/testify/require"
)

// exact computes a cost another way: in whole numbers of any size.
func exact(price models.Money, ran time.Duration) models.Money {
	hour := big.NewInt(int64(time.Hour / time.Microsecond))
	cost := new(big.Int).Mul(big.NewInt(int64(price)), big.NewInt(ran.Microseconds()))
	cost.Add(cost, new(big.Int).Rsh(hour, 1)).Quo(cost, hour)
	return models.Money(cost.Int64())
}

func TestCost(t *testing.T) {
	for _, test := range []struct {
		price models.Money
		ran   time.Duration
		want  models.Money
	}{
		{0, time.Hour, 0},
		{9589, 0, 0},
		{9589, -time.Hour, 0},
		{9589, time.Hour, 9589},
		{9589, 90 * time.Minute, 14384}, // 14383.5
		{1, 30 * time.Minute, 1},        // half up
		{1, 30*time.Minute - time.Microsecond, 0},
		{models.MoneyUnit, time.Second, 278},
		{1_000_000 * models.MoneyUnit, 100 * 365 * 24 * time.Hour, 876_000_000_000 * models.MoneyUnit},
	} {
		require.Equal(t, test.want, billing.Cost(test.price, test.ran), "%s for %s", test.price, test.ran)
	}
}

// TestSumsOfPartsAreTheWhole: however time is cut, nothing is lost or gained.
func TestSumsOfPartsAreTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 10, 31, 22, 59, 59, 999_999_000, time.UTC)
	for range 500 {
		started := begin.Add(time.Duration(random.Int64N(int64(100*time.Hour))) / 1000 * 1000)
		ended := started.Add(time.Duration(random.Int64N(int64(80*time.Hour))) / 1000 * 1000)
		interval := models.UsageInterval{PriceHour: models.Money(1 + random.Int64N(2_000_000)), StartedAt: started, BilledUntil: started}
		sum, last := models.Money(0), time.Time{}
		bill := func(at time.Time) {
			for _, record := range billing.Records(interval, at) {
				require.Equal(t, record.Hour, record.Hour.Truncate(time.Hour))
				require.True(t, record.Hour.After(last) || last.IsZero(), "an hour is billed once")
				last = record.Hour
				sum += record.Amount
			}
			interval.BilledUntil = later(interval.BilledUntil, billing.Limit(interval, at))
			require.Equal(t, billing.Owed(interval), sum)
		}
		for at := started; at.Before(ended); at = at.Add(time.Duration(random.Int64N(int64(5 * time.Hour)))) {
			bill(at)
		}
		interval.EndedAt = &ended
		bill(ended)
		require.Equal(t, exact(interval.PriceHour, ended.Sub(started)), sum)
		require.Empty(t, billing.Records(interval, ended.Add(time.Hour)))
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func TestMonthBounds(t *testing.T) {
	from, to, err := billing.MonthBounds("2026-12")
	require.NoError(t, err)
	require.Equal(t, "2026-12-01 2027-01-01", from.Format(time.DateOnly)+" "+to.Format(time.DateOnly))
	for _, wrong := range []string{"", "2026", "2026-13", "2026-1", "2026-11-01", "../x"} {
		_, _, err := billing.MonthBounds(wrong)
		require.True(t, models.IsCode(err, models.Invalid), wrong)
	}
}

func TestJudge(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	past, future := at.Add(-time.Minute), at.Add(time.Hour)
	const unit = models.MoneyUnit
	standing := func(wallet models.Wallet, suspended bool, hour models.Money) billing.Standing {
		return billing.Standing{Wallet: wallet, Suspended: suspended, HourCost: hour, MonthCost: 5 * unit, Grace: 24 * time.Hour, LowBefore: 72 * time.Hour}
	}
	marked := func(verdict billing.Verdict) (marks []string) {
		for name, set := range map[string]bool{
			"low": verdict.NoticeLow, "out": verdict.NoticeOut, "alert": verdict.Alert, "suspend": verdict.Suspend, "resume": verdict.Resume,
			"grace": verdict.Wallet.GraceUntil != nil,
		} {
			if set {
				marks = append(marks, name)
			}
		}
		return marks
	}
	for name, test := range map[string]struct {
		standing billing.Standing
		want     []string
	}{
		"enough":                         {standing(models.Wallet{Balance: 100 * unit}, false, unit), nil},
		"lasts for three days exactly":   {standing(models.Wallet{Balance: 72 * unit}, false, unit), nil},
		"runs low":                       {standing(models.Wallet{Balance: 72*unit - 1}, false, unit), []string{"low"}},
		"was told so":                    {standing(models.Wallet{Balance: unit, LowBalanceAt: &past}, false, unit), nil},
		"nothing runs, nothing is owed":  {standing(models.Wallet{}, false, 0), nil},
		"used up":                        {standing(models.Wallet{Balance: -1}, false, unit), []string{"out", "grace"}},
		"used up to the last":            {standing(models.Wallet{}, false, unit), []string{"out", "grace"}},
		"in grace":                       {standing(models.Wallet{Balance: -1, GraceUntil: &future}, false, unit), []string{"grace"}},
		"grace is over":                  {standing(models.Wallet{Balance: -1, GraceUntil: &past}, false, unit), []string{"suspend", "grace"}},
		"suspended already":              {standing(models.Wallet{Balance: -1, GraceUntil: &past}, true, 0), []string{"grace"}},
		"topped up":                      {standing(models.Wallet{Balance: unit, GraceUntil: &past}, true, 0), []string{"resume"}},
		"topped up, and still below":     {standing(models.Wallet{Balance: -unit, GraceUntil: &past}, true, 0), []string{"grace"}},
		"topped up to nothing":           {standing(models.Wallet{Balance: 0, GraceUntil: &past}, true, 0), []string{"resume"}},
		"alert":                          {standing(models.Wallet{Balance: 100 * unit, SpendingAlert: 5 * unit}, false, 0), []string{"alert"}},
		"alert was given for this month": {standing(models.Wallet{Balance: 100 * unit, SpendingAlert: unit, SpendingAlerted: "2026-11"}, false, 0), nil},
		"alert was given a month ago":    {standing(models.Wallet{Balance: 100 * unit, SpendingAlert: unit, SpendingAlerted: "2026-10"}, false, 0), []string{"alert"}},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := billing.Judge(test.standing, at)
			require.ElementsMatch(t, test.want, marked(verdict))
			// Asked again, it has nothing new to say.
			test.standing.Wallet = verdict.Wallet
			test.standing.Suspended = (test.standing.Suspended || verdict.Suspend) && !verdict.Resume
			again := billing.Judge(test.standing, at)
			require.Equal(t, verdict.Wallet, again.Wallet)
			require.False(t, again.NoticeLow || again.NoticeOut || again.Alert || again.Suspend || again.Resume)
		})
	}
}
