package store

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// OpenUsage begins usage intervals. An Instance that has one keeps it.
func (s *Store) OpenUsage(ctx context.Context, intervals []models.UsageInterval) error {
	if len(intervals) == 0 {
		return nil
	}
	once := clause.OnConflict{Columns: []clause.Column{{Name: "instance_id"}}, DoNothing: true}
	if err := s.writer(ctx).Clauses(once).CreateInBatches(&intervals, 500).Error; err != nil {
		return fmt.Errorf("open usage: %w", err)
	}
	return nil
}

// CloseUsage ends the open intervals of the Instances at a time, or at their
// start when that is later.
func (s *Store) CloseUsage(ctx context.Context, instances []models.ID, at time.Time) error {
	if len(instances) == 0 {
		return nil
	}
	open := s.writer(ctx).Model(&models.UsageInterval{}).Where("instance_id IN ? AND ended_at IS NULL", instances)
	ended := gorm.Expr("CASE WHEN started_at > ? THEN started_at ELSE ? END", at, at)
	// What is billed already was used: a clock that jumped back takes nothing off.
	latest := gorm.Expr("CASE WHEN billed_until > ? THEN billed_until ELSE ? END", at, ended)
	if err := open.UpdateColumn("ended_at", latest).Error; err != nil {
		return fmt.Errorf("close usage: %w", err)
	}
	return nil
}

// OpenInstances returns which of the Instances have an open interval.
func (s *Store) OpenInstances(ctx context.Context) ([]models.ID, error) {
	var ids []models.ID
	err := s.reader(ctx).Model(&models.UsageInterval{}).Where("ended_at IS NULL").Pluck("instance_id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list open usage: %w", err)
	}
	return ids, nil
}

func due(query *gorm.DB, until time.Time) *gorm.DB {
	return query.Where("((ended_at IS NULL AND billed_until < ?) OR (ended_at IS NOT NULL AND billed_until < ended_at))", until)
}

// OrganisationsDue returns the Organisations that have usage to bill up to a
// time.
func (s *Store) OrganisationsDue(ctx context.Context, until time.Time) ([]models.ID, error) {
	var ids []models.ID
	err := due(s.reader(ctx).Model(&models.UsageInterval{}), until).Distinct().Pluck("organisation_id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", err)
	}
	return ids, nil
}

// IsDue reports whether the Organisation has usage that is not billed up to a
// time yet.
func (s *Store) IsDue(ctx context.Context, organisation models.ID, until time.Time) (bool, error) {
	query := s.reader(ctx).Model(&models.UsageInterval{}).Where("organisation_id = ? AND started_at < ?", organisation, until)
	rows, err := count(due(query, until).Limit(1), "usage that is due")
	return rows > 0, err
}

// UsageDue returns some of the Organisation's intervals that can be billed up to
// a time. It is called in a transaction that holds the wallet.
func (s *Store) UsageDue(ctx context.Context, organisation models.ID, until time.Time, limit int) ([]models.UsageInterval, error) {
	query := due(s.writer(ctx).Where("organisation_id = ?", organisation), until)
	return all[models.UsageInterval](forUpdate(query).Order("id").Limit(limit), "usage")
}

// Bill stores the records, in a transaction, and marks their intervals as billed
// up to their end, or to a time while they run. A record that is there already
// is a Conflict.
func (s *Store) Bill(ctx context.Context, intervals []models.UsageInterval, records []models.BillingRecord, until time.Time) error {
	if len(records) > 0 {
		if err := s.writer(ctx).CreateInBatches(&records, 500).Error; err != nil {
			return fmt.Errorf("write billing records: %w", err)
		}
	}
	ids := make([]models.ID, 0, len(intervals))
	for _, interval := range intervals {
		ids = append(ids, interval.ID)
	}
	billed := gorm.Expr("CASE WHEN ended_at IS NULL THEN ? ELSE ended_at END", until)
	err := s.writer(ctx).Model(&models.UsageInterval{}).Where("id IN ?", ids).UpdateColumn("billed_until", billed).Error
	if err != nil {
		return fmt.Errorf("mark usage as billed: %w", err)
	}
	return nil
}

// LockWallet returns the Organisation's wallet and keeps other transactions from
// it until this one ends.
func (s *Store) LockWallet(ctx context.Context, organisation models.ID) (models.Wallet, error) {
	return first[models.Wallet](forUpdate(s.writer(ctx)).Where("organisation_id = ?", organisation), "wallet")
}

// Wallet returns the Organisation's wallet.
func (s *Store) Wallet(ctx context.Context, organisation models.ID) (models.Wallet, error) {
	return first[models.Wallet](s.reader(ctx).Where("organisation_id = ?", organisation), "wallet")
}

// Wallets returns all wallets by Organisation.
func (s *Store) Wallets(ctx context.Context) ([]models.Wallet, error) {
	return all[models.Wallet](s.reader(ctx).Order("organisation_id"), "wallets")
}

// UnsettledWallets returns the wallets about which there may be something to
// decide: of who runs something, owes something, was warned, or wants to be.
func (s *Store) UnsettledWallets(ctx context.Context) ([]models.Wallet, error) {
	running := s.reader(ctx).Model(&models.UsageInterval{}).Select("organisation_id").Where("ended_at IS NULL")
	query := s.reader(ctx).Where("balance_micros < 0 OR grace_until IS NOT NULL OR low_balance_at IS NOT NULL OR "+
		"spending_alert_micros > 0 OR organisation_id IN (?)", running)
	return all[models.Wallet](query.Order("organisation_id"), "wallets")
}

// SaveWallet writes all of a wallet that the transaction has locked.
func (s *Store) SaveWallet(ctx context.Context, wallet *models.Wallet) error {
	return s.save(ctx, wallet, "wallet")
}

// Post appends an entry to the ledger of a wallet that the transaction has
// locked, and changes its balance. It fills in the entry's sequence and balance.
// An entry of the same kind and ref is a Conflict.
func (s *Store) Post(ctx context.Context, wallet *models.Wallet, entry *models.LedgerEntry) error {
	wallet.Sequence++
	wallet.Balance += entry.Amount
	entry.OrganisationID, entry.Sequence, entry.Balance = wallet.OrganisationID, wallet.Sequence, wallet.Balance
	if err := s.create(ctx, entry, "ledger entry "+entry.Ref); err != nil {
		return err
	}
	return s.SaveWallet(ctx, wallet)
}

// Ledger returns a page of the Organisation's ledger, by default the newest
// first.
func (s *Store) Ledger(ctx context.Context, organisation models.ID, kind string, ask models.PageRequest) (models.Page[models.LedgerEntry], error) {
	query := s.reader(ctx).Where("organisation_id = ?", organisation)
	if kind != "" {
		query = query.Where("kind = ?", kind)
	}
	return page[models.LedgerEntry](query, ask, "ledger entries", "-sequence", "amount_micros")
}

// LedgerByRef returns the entry of this kind and ref.
func (s *Store) LedgerByRef(ctx context.Context, kind models.LedgerKind, ref string) (models.LedgerEntry, error) {
	return first[models.LedgerEntry](s.reader(ctx).Where("kind = ? AND ref = ?", kind, ref), "ledger entry")
}

// Usage returns the Organisation's intervals that touch the time between from
// and to, oldest first.
func (s *Store) Usage(ctx context.Context, organisation models.ID, from, to time.Time, ask models.PageRequest) (models.Page[models.UsageInterval], error) {
	query := s.reader(ctx).Where("organisation_id = ? AND started_at < ? AND (ended_at IS NULL OR ended_at > ?)", organisation, to, from)
	return page[models.UsageInterval](query, ask, "usage", "started_at", "app_name")
}

// OpenUsageOf returns the Organisation's intervals that run.
func (s *Store) OpenUsageOf(ctx context.Context, organisation models.ID) ([]models.UsageInterval, error) {
	return all[models.UsageInterval](s.reader(ctx).Where("organisation_id = ? AND ended_at IS NULL", organisation), "usage")
}

// InvoiceLine is what the Instances of one process type of one App cost, at one
// price, within some time.
type InvoiceLine struct {
	AppID      models.ID
	AppName    string
	Process    string
	PlanName   string
	PriceHour  models.Money `gorm:"column:price_hour_micros"`
	Instances  int64
	UsedMicros int64
	Amount     models.Money `gorm:"column:amount_micros"`
}

// InvoiceLines adds up the Organisation's records of the hours from from until
// before to.
func (s *Store) InvoiceLines(ctx context.Context, organisation models.ID, from, to time.Time) ([]InvoiceLine, error) {
	var lines []InvoiceLine
	err := s.reader(ctx).Table("paas_billing_records AS r").
		Joins("JOIN paas_usage_intervals AS u ON u.id = r.interval_id").
		Where("r.organisation_id = ? AND r.hour >= ? AND r.hour < ?", organisation, from, to).
		Select("u.app_id, u.app_name, u.process, u.plan_name, u.price_hour_micros, COUNT(DISTINCT u.id) AS instances, " +
			"CAST(SUM(r.used_micros) AS BIGINT) AS used_micros, CAST(SUM(r.amount_micros) AS BIGINT) AS amount_micros").
		Group("u.app_id, u.app_name, u.process, u.plan_name, u.price_hour_micros").
		Order("u.app_name, u.process, u.price_hour_micros").Scan(&lines).Error
	if err != nil {
		return nil, fmt.Errorf("add up the invoice: %w", err)
	}
	return lines, nil
}

// Billed adds up the Organisation's records of the hours from from until before
// to.
func (s *Store) Billed(ctx context.Context, organisation models.ID, from, to time.Time) (models.Money, error) {
	var sum models.Money
	err := s.reader(ctx).Model(&models.BillingRecord{}).Where("organisation_id = ? AND hour >= ? AND hour < ?", organisation, from, to).
		Select("CAST(COALESCE(SUM(amount_micros), 0) AS BIGINT)").Scan(&sum).Error
	if err != nil {
		return 0, fmt.Errorf("add up the bill: %w", err)
	}
	return sum, nil
}

// FirstUsage returns when the Organisation's first interval began; the zero time
// when it has none.
func (s *Store) FirstUsage(ctx context.Context, organisation models.ID) (time.Time, error) {
	row, err := first[models.UsageInterval](s.reader(ctx).Where("organisation_id = ?", organisation).Order("started_at").Limit(1), "usage")
	if models.IsCode(err, models.NotFound) {
		return time.Time{}, nil
	}
	return row.StartedAt, err
}

// LedgerTotals is what an Organisation's ledger adds up to.
type LedgerTotals struct {
	OrganisationID models.ID
	Entries        int64
	Sequence       int64
	Total          models.Money // of all amounts
	Usage          models.Money // of the kind usage
}

// LedgerTotals adds up every ledger.
func (s *Store) LedgerTotals(ctx context.Context) ([]LedgerTotals, error) {
	var totals []LedgerTotals
	err := s.reader(ctx).Model(&models.LedgerEntry{}).Group("organisation_id").
		Select("organisation_id, COUNT(*) AS entries, MAX(sequence) AS sequence, CAST(SUM(amount_micros) AS BIGINT) AS total, " +
			"CAST(SUM(CASE WHEN kind = 'usage' THEN amount_micros ELSE 0 END) AS BIGINT) AS usage").Scan(&totals).Error
	if err != nil {
		return nil, fmt.Errorf("add up the ledgers: %w", err)
	}
	return totals, nil
}

// BilledByInterval calls yield for every interval, by id, with what its records
// add up to.
func (s *Store) BilledByInterval(ctx context.Context, yield func(models.UsageInterval, models.Money) error) error {
	const batch = 1000
	after := models.ID{}
	for {
		intervals, err := all[models.UsageInterval](s.reader(ctx).Where("id > ?", after).Order("id").Limit(batch), "usage")
		if err != nil || len(intervals) == 0 {
			return err
		}
		after = intervals[len(intervals)-1].ID
		billed, err := s.billed(ctx, intervals)
		if err != nil {
			return err
		}
		for _, interval := range intervals {
			if err := yield(interval, billed[interval.ID]); err != nil {
				return err
			}
		}
	}
}

func (s *Store) billed(ctx context.Context, intervals []models.UsageInterval) (map[models.ID]models.Money, error) {
	ids := make([]models.ID, 0, len(intervals))
	for _, interval := range intervals {
		ids = append(ids, interval.ID)
	}
	var sums []struct {
		IntervalID models.ID
		Sum        models.Money
	}
	err := s.reader(ctx).Model(&models.BillingRecord{}).Where("interval_id IN ?", ids).Group("interval_id").
		Select("interval_id, CAST(SUM(amount_micros) AS BIGINT) AS sum").Scan(&sums).Error
	if err != nil {
		return nil, fmt.Errorf("add up billing records: %w", err)
	}
	billed := make(map[models.ID]models.Money, len(sums))
	for _, sum := range sums {
		billed[sum.IntervalID] = sum.Sum
	}
	return billed, nil
}

// Notify inserts the notification unless one of its kind and ref is there.
func (s *Store) Notify(ctx context.Context, notification *models.Notification) error {
	_, err := s.NotifyFirst(ctx, notification)
	return err
}

// NotifyFirst is Notify, and reports whether it was the first.
func (s *Store) NotifyFirst(ctx context.Context, notification *models.Notification) (bool, error) {
	once := clause.OnConflict{Columns: []clause.Column{{Name: "kind"}, {Name: "ref"}}, DoNothing: true}
	result := s.writer(ctx).Clauses(once).Create(notification)
	if result.Error != nil {
		return false, fmt.Errorf("notify: %w", result.Error)
	}
	return result.RowsAffected > 0, nil
}

// Notifications returns a page of the Organisation's notifications, newest
// first.
func (s *Store) Notifications(ctx context.Context, organisation models.ID, unread bool, ask models.PageRequest) (models.Page[models.Notification], error) {
	query := s.reader(ctx).Where("organisation_id = ?", organisation)
	if unread {
		query = query.Where("read_at IS NULL")
	}
	return page[models.Notification](query, ask, "notifications", "-id")
}

// ReadNotifications marks those of the Organisation as read that came no later
// than the one with this id.
func (s *Store) ReadNotifications(ctx context.Context, organisation, upTo models.ID, at time.Time) error {
	err := s.writer(ctx).Model(&models.Notification{}).
		Where("organisation_id = ? AND id <= ? AND read_at IS NULL", organisation, upTo).UpdateColumn("read_at", at).Error
	if err != nil {
		return fmt.Errorf("mark notifications as read: %w", err)
	}
	return nil
}
