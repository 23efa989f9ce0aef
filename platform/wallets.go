package platform

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/billing"
)

// Balance is how an Organisation stands.
type Balance struct {
	Organisation models.Organisation
	Wallet       models.Wallet
	Currency     string
	Billing      bool         // whether usage costs anything
	HourCost     models.Money // of what runs now
	Month        string
	MonthToDate  models.Money // billed, and what runs has cost since
}

// Balance returns how the Organisation stands now.
func (p *Platform) Balance(ctx context.Context, actor models.Actor, name string) (Balance, error) {
	organisation, err := p.Organisation(ctx, actor, models.BillingRead, name)
	if err != nil {
		return Balance{}, err
	}
	return p.balance(ctx, organisation, now())
}

func (p *Platform) balance(ctx context.Context, organisation models.Organisation, at time.Time) (Balance, error) {
	options, err := p.Options(ctx)
	if err != nil {
		return Balance{}, err
	}
	balance := Balance{Organisation: organisation, Currency: options.Currency, Billing: options.Billing, Month: billing.Month(at)}
	if balance.Wallet, err = p.Store.Wallet(ctx, organisation.ID); err != nil {
		return Balance{}, err
	}
	standing, err := standing(ctx, p.Store, organisation, options, at)
	if err != nil {
		return Balance{}, err
	}
	running, err := p.Store.OpenUsageOf(ctx, organisation.ID)
	balance.HourCost, balance.MonthToDate = standing.HourCost, standing.MonthCost
	month, _, _ := billing.MonthBounds(balance.Month)
	for _, interval := range running {
		from := interval.BilledUntil
		if from.Before(month) {
			from = month
		}
		balance.MonthToDate += billing.Between(interval, from, at)
	}
	return balance, err
}

// TopUp puts money into an Organisation's wallet, for an admin of the platform.
// A ref that was used already is a Conflict, so that no payment counts twice; an
// empty one is made up.
func (p *Platform) TopUp(ctx context.Context, actor models.Actor, name string, entry models.LedgerEntry) (models.LedgerEntry, error) {
	if err := permitPlatform(actor); err != nil {
		return models.LedgerEntry{}, err
	}
	organisation, err := p.Organisation(ctx, actor, models.BillingRead, name)
	if err != nil {
		return models.LedgerEntry{}, err
	}
	if err := checkTopUp(entry); err != nil {
		return models.LedgerEntry{}, err
	}
	entry.ID, entry.Actor, entry.CreatedAt = models.NewID(), actor.Name, now()
	if entry.Ref == "" {
		entry.Ref = entry.ID.String()
	}
	what := fact{kind: "billing." + string(entry.Kind), detail: entry.Amount.String() + " " + entry.Ref, organisation: &organisation.ID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		wallet, err := tx.LockWallet(ctx, organisation.ID)
		if err != nil {
			return err
		}
		wallet.LowBalanceAt = nil
		return tx.Post(ctx, &wallet, &entry)
	})
	if models.IsCode(err, models.Conflict) {
		return models.LedgerEntry{}, models.Errorf(models.Conflict, "%s %q was posted already", entry.Kind, entry.Ref).WithField("ref").
			WithRemedy("`sky billing ledger` shows it; another payment has another ref")
	}
	p.hurry()
	return entry, err
}

func checkTopUp(entry models.LedgerEntry) error {
	const most = 1_000_000_000 * models.MoneyUnit
	switch {
	case entry.Kind != models.LedgerTopUp && entry.Kind != models.LedgerCredit && entry.Kind != models.LedgerAdjustment:
		return models.Errorf(models.Invalid, "%q is no kind of entry", narrative.Clean(string(entry.Kind))).WithField("kind").
			WithRemedy("use top-up, credit or adjustment")
	case entry.Amount == 0 || entry.Amount > most || entry.Amount < -most || (entry.Amount < 0 && entry.Kind != models.LedgerAdjustment):
		return models.Errorf(models.Invalid, "the amount %s is not allowed", entry.Amount).WithField("amount").
			WithRemedy("use a positive amount; only an adjustment may be negative")
	case len(entry.Ref) > 100 || len(entry.Detail) > 500:
		return models.Errorf(models.Invalid, "the text is too long").WithField("ref").WithRemedy("use at most 100 characters for ref and 500 for detail")
	}
	return nil
}

// SetSpendingAlert decides from which sum in a month the Organisation is told;
// 0 is none.
func (p *Platform) SetSpendingAlert(ctx context.Context, actor models.Actor, name string, alert models.Money) (Balance, error) {
	organisation, err := p.Organisation(ctx, actor, models.BillingManage, name)
	if err != nil {
		return Balance{}, err
	}
	if alert < 0 {
		return Balance{}, models.Errorf(models.Invalid, "an alert below nothing is not allowed").WithField("spending_alert_micros").WithRemedy("use 0 for none")
	}
	what := fact{kind: "billing.alert", detail: alert.String(), organisation: &organisation.ID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		wallet, err := tx.LockWallet(ctx, organisation.ID)
		if err != nil {
			return err
		}
		wallet.SpendingAlert, wallet.SpendingAlerted = alert, ""
		return tx.SaveWallet(ctx, &wallet)
	})
	if err != nil {
		return Balance{}, err
	}
	p.hurry()
	return p.balance(ctx, organisation, now())
}

// Invoice is what an Organisation's usage cost in one month, line by line. That
// of the month that runs grows until its end.
type Invoice struct {
	Organisation models.Organisation
	Month        string
	Currency     string
	Closed       bool // the month is over, and all of it is billed
	Lines        []store.InvoiceLine
	Total        models.Money
}

// Invoice returns the invoice of a month such as "2026-11".
func (p *Platform) Invoice(ctx context.Context, actor models.Actor, name, month string) (Invoice, error) {
	organisation, err := p.Organisation(ctx, actor, models.BillingRead, name)
	if err != nil {
		return Invoice{}, err
	}
	return p.invoice(ctx, organisation, month)
}

func (p *Platform) invoice(ctx context.Context, organisation models.Organisation, month string) (Invoice, error) {
	from, to, err := billing.MonthBounds(month)
	if err != nil {
		return Invoice{}, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return Invoice{}, err
	}
	invoice := Invoice{Organisation: organisation, Month: month, Currency: options.Currency}
	if invoice.Lines, err = p.Store.InvoiceLines(ctx, organisation.ID, from, to); err != nil {
		return Invoice{}, err
	}
	for _, line := range invoice.Lines {
		invoice.Total += line.Amount
	}
	due, err := p.Store.IsDue(ctx, organisation.ID, to)
	invoice.Closed = !due && now().After(to)
	return invoice, err
}

// Invoices lists the Organisation's invoices, the newest first.
func (p *Platform) Invoices(ctx context.Context, actor models.Actor, name string) ([]Invoice, error) {
	organisation, err := p.Organisation(ctx, actor, models.BillingRead, name)
	if err != nil {
		return nil, err
	}
	first, err := p.Store.FirstUsage(ctx, organisation.ID)
	if err != nil || first.IsZero() {
		return nil, err
	}
	var invoices []Invoice
	begin, _, _ := billing.MonthBounds(billing.Month(first))
	for month, _, _ := billing.MonthBounds(billing.Month(now())); !month.Before(begin); month = month.AddDate(0, -1, 0) {
		invoice, err := p.invoice(ctx, organisation, billing.Month(month))
		if err != nil {
			return nil, err
		}
		invoices = append(invoices, invoice)
	}
	return invoices, nil
}

// Usage lists for how long which Instances ran in a month.
func (p *Platform) Usage(ctx context.Context, actor models.Actor, name, month string, page models.PageRequest) (models.Page[models.UsageInterval], error) {
	organisation, err := p.Organisation(ctx, actor, models.BillingRead, name)
	if err != nil {
		return models.Page[models.UsageInterval]{}, err
	}
	if month == "" {
		month = billing.Month(now())
	}
	from, to, err := billing.MonthBounds(month)
	if err != nil {
		return models.Page[models.UsageInterval]{}, err
	}
	return p.Store.Usage(ctx, organisation.ID, from, to, page)
}

// Ledger lists the movements of the Organisation's money, newest first.
func (p *Platform) Ledger(ctx context.Context, actor models.Actor, name, kind string, page models.PageRequest) (models.Page[models.LedgerEntry], error) {
	organisation, err := p.Organisation(ctx, actor, models.BillingRead, name)
	if err != nil {
		return models.Page[models.LedgerEntry]{}, err
	}
	return p.Store.Ledger(ctx, organisation.ID, kind, page)
}

// Notifications lists what the Organisation was told, newest first.
func (p *Platform) Notifications(ctx context.Context, actor models.Actor, name string, unread bool, page models.PageRequest) (models.Page[models.Notification], error) {
	organisation, err := p.Organisation(ctx, actor, models.OrgRead, name)
	if err != nil {
		return models.Page[models.Notification]{}, err
	}
	return p.Store.Notifications(ctx, organisation.ID, unread, page)
}

// ReadNotifications marks the Organisation's notifications up to this one as
// read.
func (p *Platform) ReadNotifications(ctx context.Context, actor models.Actor, name, upTo string) error {
	organisation, err := p.Organisation(ctx, actor, models.OrgRead, name)
	if err != nil {
		return err
	}
	id, err := models.ParseID(upTo)
	if err != nil {
		return models.Errorf(models.Invalid, "that is not a notification").WithField("up_to")
	}
	return p.Store.ReadNotifications(ctx, organisation.ID, id, now())
}

// Mismatch is a total that a replay of the usage does not reproduce.
type Mismatch struct {
	Subject  string
	Expected models.Money
	Found    models.Money
}

// Verification is the outcome of a replay.
type Verification struct {
	Intervals  int
	Ledgers    int
	Billed     models.Money
	Mismatches []Mismatch
}

// VerifyBilling computes every total anew from the usage, and compares: records
// with intervals, ledgers with records, wallets with ledgers. It is for admins of
// the platform.
func (p *Platform) VerifyBilling(ctx context.Context, actor models.Actor) (Verification, error) {
	if err := permitPlatform(actor); err != nil {
		return Verification{}, err
	}
	var found Verification
	err := p.Store.Snapshot(ctx, func(tx *store.Store) error {
		owed, err := found.replay(ctx, tx)
		if err != nil {
			return err
		}
		return found.compare(ctx, tx, owed)
	})
	return found, err
}

func (v *Verification) differ(expected, found models.Money, format string, args ...any) {
	if expected != found {
		v.Mismatches = append(v.Mismatches, Mismatch{fmt.Sprintf(format, args...), expected, found})
	}
}

// replay computes what each interval owes, and returns the sums by Organisation.
func (v *Verification) replay(ctx context.Context, tx *store.Store) (map[models.ID]models.Money, error) {
	owed := map[models.ID]models.Money{}
	err := tx.BilledByInterval(ctx, func(interval models.UsageInterval, billed models.Money) error {
		v.Intervals++
		expected := billing.Owed(interval)
		owed[interval.OrganisationID] += expected
		v.Billed += expected
		v.differ(expected, billed, "records of interval %s (%s %s)", interval.ID, interval.AppName, interval.Process)
		return nil
	})
	return owed, err
}

// compare holds ledgers and wallets against what is owed.
func (v *Verification) compare(ctx context.Context, tx *store.Store, owed map[models.ID]models.Money) error {
	totals, err := tx.LedgerTotals(ctx)
	if err != nil {
		return err
	}
	ledgers := map[models.ID]store.LedgerTotals{}
	for _, total := range totals {
		ledgers[total.OrganisationID] = total
	}
	wallets, err := tx.Wallets(ctx)
	for _, wallet := range wallets {
		v.Ledgers++
		ledger := ledgers[wallet.OrganisationID]
		v.differ(-owed[wallet.OrganisationID], ledger.Usage, "usage in the ledger of %s", wallet.OrganisationID)
		v.differ(ledger.Total, wallet.Balance, "balance of %s", wallet.OrganisationID)
		v.differ(models.Money(ledger.Entries), models.Money(ledger.Sequence), "entries in the ledger of %s", wallet.OrganisationID)
		v.differ(models.Money(ledger.Sequence), models.Money(wallet.Sequence), "sequence of %s", wallet.OrganisationID)
	}
	return err
}
