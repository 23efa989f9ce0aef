package models

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Money is an amount in millionths of the platform's currency.
type Money int64

// MoneyUnit is one whole unit of the currency.
const MoneyUnit Money = 1_000_000

// String writes the amount with as many decimals as it has, and at least two.
func (m Money) String() string {
	sign, rest := "", uint64(m)
	if m < 0 {
		sign, rest = "-", uint64(-m)
	}
	decimals := strings.TrimRight(fmt.Sprintf("%06d", rest%uint64(MoneyUnit)), "0")
	for len(decimals) < 2 {
		decimals += "0"
	}
	return sign + strconv.FormatUint(rest/uint64(MoneyUnit), 10) + "." + decimals
}

// ParseMoney reads an amount such as "12.5"; more than six decimals are refused
// rather than rounded.
func ParseMoney(text string) (Money, error) {
	wrong := Errorf(Invalid, "%q is not an amount", text).WithField("amount").
		WithRemedy("write it with a point and at most six decimals, such as 12.50")
	digits, negative := strings.CutPrefix(text, "-")
	whole, decimals, _ := strings.Cut(digits, ".")
	if len(decimals) > 6 || len(whole) > 12 || whole == "" {
		return 0, wrong
	}
	micros, err := strconv.ParseUint(whole+decimals+strings.Repeat("0", 6-len(decimals)), 10, 63)
	if err != nil {
		return 0, wrong
	}
	if negative {
		return -Money(micros), nil
	}
	return Money(micros), nil
}

// Wallet is an Organisation's money. Its row is the lock under which the ledger
// grows.
type Wallet struct {
	OrganisationID ID    `gorm:"primaryKey"`
	Balance        Money `gorm:"column:balance_micros"`
	Sequence       int64 // of the last ledger entry
	// GraceUntil is when an Organisation without funds is suspended; nil while
	// it has some.
	GraceUntil *time.Time
	// LowBalanceAt is when it was told that its funds run low; nil after a top-up.
	LowBalanceAt *time.Time
	// SpendingAlert is the month's spending that is worth a notice; 0 is none.
	// SpendingAlerted is the last month ("2026-11") that it was given for.
	SpendingAlert   Money `gorm:"column:spending_alert_micros"`
	SpendingAlerted string
	UpdatedAt       time.Time
}

// TableName implements gorm's Tabler.
func (Wallet) TableName() string { return "paas_wallets" }

// UsageInterval is the time for which one Instance ran, at the price that it
// started with. What it costs is a pure function of it.
type UsageInterval struct {
	ID             ID `gorm:"primaryKey"`
	InstanceID     ID
	OrganisationID ID
	AppID          ID
	AppName        string
	Process        string
	PlanName       string
	PriceHour      Money `gorm:"column:price_hour_micros"`
	StartedAt      time.Time
	EndedAt        *time.Time // nil while it runs
	BilledUntil    time.Time
}

// TableName implements gorm's Tabler.
func (UsageInterval) TableName() string { return "paas_usage_intervals" }

// BillingRecord is what one UsageInterval cost within one clock hour.
type BillingRecord struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID ID
	IntervalID     ID
	Hour           time.Time
	UsedMicros     int64 // of time, in microseconds
	Amount         Money `gorm:"column:amount_micros"`
	CreatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (BillingRecord) TableName() string { return "paas_billing_records" }

// LedgerKind says why money moved.
type LedgerKind string

// The kinds of ledger entries.
const (
	LedgerUsage      LedgerKind = "usage"
	LedgerTopUp      LedgerKind = "top-up"
	LedgerCredit     LedgerKind = "credit"
	LedgerAdjustment LedgerKind = "adjustment"
)

// LedgerEntry is one movement of an Organisation's money. The ledger is
// append-only; Kind and Ref together are unique, so that nothing is posted twice.
type LedgerEntry struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID ID
	Sequence       int64
	Kind           LedgerKind
	Ref            string
	Amount         Money `gorm:"column:amount_micros"`
	Balance        Money `gorm:"column:balance_micros"` // after it
	Detail         string
	Actor          string
	CreatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (LedgerEntry) TableName() string { return "paas_ledger_entries" }
