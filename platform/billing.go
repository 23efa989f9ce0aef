package platform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/billing"
)

// billBatch bounds the intervals that one transaction bills.
const billBatch = 500

// Bill bills all usage up to the last full hour, and up to its end where it has
// one. It may run in several processes at once, and be killed anywhere: what was
// committed is not billed again, what was not is billed by the next call.
func (p *Platform) Bill(ctx context.Context, at time.Time) error {
	hour := at.UTC().Truncate(time.Hour)
	organisations, err := p.Store.OrganisationsDue(ctx, hour)
	if err != nil {
		return err
	}
	for _, organisation := range organisations {
		for billed := billBatch; billed == billBatch; {
			if billed, err = p.billSome(ctx, organisation, hour); err != nil {
				return fmt.Errorf("bill %s: %w", organisation, err)
			}
		}
	}
	return nil
}

// billSome bills some of one Organisation's usage in one transaction: records,
// ledger, wallet and the marks on the intervals are written together.
func (p *Platform) billSome(ctx context.Context, organisation models.ID, hour time.Time) (int, error) {
	billed := 0
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		wallet, err := tx.LockWallet(ctx, organisation)
		if err != nil {
			return err
		}
		intervals, err := tx.UsageDue(ctx, organisation, hour, billBatch)
		if err != nil || len(intervals) == 0 {
			return err
		}
		billed = len(intervals)
		var records []models.BillingRecord
		for _, interval := range intervals {
			records = append(records, billing.Records(interval, hour)...)
		}
		for i := range records {
			records[i].ID, records[i].CreatedAt = models.NewID(), now()
		}
		if err := tx.Bill(ctx, intervals, records, hour); err != nil {
			return err
		}
		return postUsage(ctx, tx, &wallet, records)
	})
	return billed, err
}

// postUsage takes the records' sum from the wallet, as one ledger entry that the
// first of them names.
func postUsage(ctx context.Context, tx *store.Store, wallet *models.Wallet, records []models.BillingRecord) error {
	if len(records) == 0 {
		return nil
	}
	sum, from, to := models.Money(0), records[0].Hour, records[0].Hour
	for _, record := range records {
		sum += record.Amount
		if record.Hour.Before(from) {
			from = record.Hour
		}
		if record.Hour.After(to) {
			to = record.Hour
		}
	}
	detail := fmt.Sprintf("%d records, %s", len(records), from.Format("2006-01-02 15:00"))
	if to.After(from) {
		detail += " to " + to.Format("2006-01-02 15:00")
	}
	return tx.Post(ctx, wallet, &models.LedgerEntry{
		ID: models.NewID(), Kind: models.LedgerUsage, Ref: records[0].ID.String(), Amount: -sum, Detail: detail, Actor: "sky", CreatedAt: now(),
	})
}

// Settle looks at the wallets of who runs or owes something: it warns Organisations whose funds run low,
// begins the grace of those that have none, suspends those whose grace is over,
// and resumes those that have funds again.
func (p *Platform) Settle(ctx context.Context, at time.Time) error {
	options, err := p.Options(ctx)
	if err != nil {
		return err
	}
	if !options.Billing {
		return p.forgive(ctx)
	}
	wallets, err := p.Store.UnsettledWallets(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, wallet := range wallets {
		if err := p.settle(ctx, wallet.OrganisationID, options, at); err != nil {
			failures = append(failures, fmt.Errorf("settle %s: %w", wallet.OrganisationID, err))
		}
	}
	return errors.Join(failures...)
}

// forgive resumes who was suspended for want of funds, once usage costs nothing
// any more.
func (p *Platform) forgive(ctx context.Context) error {
	yes := true
	suspended, err := p.Store.Organisations(ctx, store.OrganisationFilter{Suspended: &yes}, models.Everything())
	if err != nil {
		return err
	}
	for _, organisation := range suspended.Items {
		if organisation.SuspendedReason != outOfFunds {
			continue
		}
		err := p.Store.Transact(ctx, func(tx *store.Store) error {
			return suspendOrganisation(ctx, tx, models.Actor{Name: "sky"}, organisation.ID, false, "billing was switched off")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// outOfFunds is why billing suspends an Organisation. It resumes none that was
// suspended for another reason.
const outOfFunds = "out of funds"

func (p *Platform) settle(ctx context.Context, id models.ID, options Options, at time.Time) error {
	return p.Store.Transact(ctx, func(tx *store.Store) error {
		wallet, err := tx.LockWallet(ctx, id) // before all reads, so that of two processes the second sees what the first did
		if err != nil {
			return err
		}
		organisation, err := tx.Organisation(ctx, id)
		if models.IsCode(err, models.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		standing, err := standing(ctx, tx, organisation, options, at)
		if err != nil {
			return err
		}
		standing.Wallet = wallet
		verdict := billing.Judge(standing, at)
		if verdict.Wallet == wallet && !verdict.Suspend && !verdict.Resume {
			return nil
		}
		if err := tx.SaveWallet(ctx, &verdict.Wallet); err != nil {
			return err
		}
		return p.act(ctx, tx, organisation, verdict, options, at)
	})
}

// act carries a verdict out, in the transaction that holds the wallet.
func (p *Platform) act(ctx context.Context, tx *store.Store, organisation models.Organisation, verdict billing.Verdict, options Options, at time.Time) error {
	if err := p.tellVerdict(ctx, tx, organisation, verdict, options, at); err != nil {
		return err
	}
	if !verdict.Suspend && !verdict.Resume {
		return nil
	}
	return suspendOrganisation(ctx, tx, models.Actor{Name: "sky"}, organisation.ID, verdict.Suspend, outOfFunds)
}

// standing is how an Organisation stands, but for its wallet.
func standing(ctx context.Context, tx *store.Store, organisation models.Organisation, options Options, at time.Time) (billing.Standing, error) {
	standing := billing.Standing{
		Suspended: organisation.Suspended && organisation.SuspendedReason == outOfFunds,
		Held:      organisation.Suspended && organisation.SuspendedReason != outOfFunds,
		Grace:     time.Duration(options.GraceHours) * time.Hour, LowBefore: time.Duration(options.LowBalanceHours) * time.Hour,
	}
	running, err := tx.OpenUsageOf(ctx, organisation.ID)
	if err != nil {
		return standing, err
	}
	for _, interval := range running {
		standing.HourCost += interval.PriceHour
	}
	from, to, err := billing.MonthBounds(billing.Month(at))
	if err != nil {
		return standing, err
	}
	standing.MonthCost, err = tx.Billed(ctx, organisation.ID, from, to)
	return standing, err
}

// tellVerdict notifies the Organisation; each occasion once.
func (p *Platform) tellVerdict(ctx context.Context, tx *store.Store, organisation models.Organisation, verdict billing.Verdict, options Options, at time.Time) error {
	occasion := at.UTC().Format(time.RFC3339)
	tell := func(kind, ref, format string, args ...any) error {
		return tx.Notify(ctx, &models.Notification{
			ID: models.NewID(), OrganisationID: organisation.ID, Kind: kind, Ref: organisation.ID.String() + " " + ref,
			Text: fmt.Sprintf(format, args...), CreatedAt: now(),
		})
	}
	wallet := verdict.Wallet
	var errs []error
	if verdict.NoticeLow {
		errs = append(errs, tell("billing.low", occasion, "The balance of %s %s lasts less than %d hours. Top it up.", wallet.Balance, options.Currency, options.LowBalanceHours))
	}
	if verdict.NoticeOut {
		errs = append(errs, tell("billing.out", occasion, "The funds are used up. Apps run on until %s, then they are suspended; nothing is deleted.",
			wallet.GraceUntil.UTC().Format("2006-01-02 15:04 UTC")))
	}
	if verdict.Alert {
		errs = append(errs, tell("billing.alert", billing.Month(at), "This month's usage has passed %s %s.", wallet.SpendingAlert, options.Currency))
	}
	if verdict.Suspend {
		errs = append(errs, tell("billing.suspended", occasion, "The grace is over: apps are suspended until the balance is topped up. Nothing is deleted."))
	}
	if verdict.Resume {
		errs = append(errs, tell("billing.resumed", occasion, "The balance was topped up: suspended apps start again."))
	}
	return errors.Join(errs...)
}
