package v1

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Balance is how an organisation stands. Amounts are in millionths of the
// currency.
type Balance struct {
	Organisation        string     `json:"organisation" doc:"Whose it is"`
	Currency            string     `json:"currency" example:"EUR"`
	Billing             bool       `json:"billing" doc:"Whether usage costs anything on this platform"`
	BalanceMicros       int64      `json:"balance_micros" doc:"What is left in the wallet; below 0 is owed"`
	HourMicros          int64      `json:"hour_micros" doc:"What runs now costs this much per hour"`
	Month               string     `json:"month" example:"2026-11"`
	MonthToDateMicros   int64      `json:"month_to_date_micros" doc:"What this month's usage costs so far"`
	SpendingAlertMicros int64      `json:"spending_alert_micros" doc:"A month's usage that is worth a notice; 0 is none"`
	GraceUntil          *time.Time `json:"grace_until,omitempty" doc:"When apps are suspended for want of funds"`
	Suspended           bool       `json:"suspended" doc:"Whether its apps are kept from running"`
}

// SpendingAlert is from which sum in a month to tell.
type SpendingAlert struct {
	SpendingAlertMicros int64 `json:"spending_alert_micros" minimum:"0" doc:"A month's usage that is worth a notice; 0 is none"`
}

// Invoice is what usage cost in one month.
type Invoice struct {
	Organisation string        `json:"organisation" doc:"Whose it is"`
	Month        string        `json:"month" example:"2026-11"`
	Currency     string        `json:"currency" example:"EUR"`
	Closed       bool          `json:"closed" doc:"The month is over, and all of it is billed"`
	Lines        []InvoiceLine `json:"lines" doc:"What the total is made of"`
	TotalMicros  int64         `json:"total_micros" doc:"The sum of its lines"`
}

// InvoiceLine is what the instances of one process type cost at one price.
type InvoiceLine struct {
	App             string  `json:"app" doc:"The app's name when it ran"`
	Process         string  `json:"process" example:"web"`
	Plan            string  `json:"plan" doc:"The plan that they started with"`
	PriceHourMicros int64   `json:"price_hour_micros" doc:"Of one instance, for an hour"`
	Instances       int64   `json:"instances" doc:"How many there were"`
	Hours           float64 `json:"hours" doc:"Of all instances together"`
	AmountMicros    int64   `json:"amount_micros" doc:"What it costs"`
}

// Usage is the time for which one instance ran.
type Usage struct {
	Instance        string     `json:"instance" doc:"Its id"`
	App             string     `json:"app" doc:"The app's name when it ran"`
	Process         string     `json:"process" doc:"Its process type"`
	Plan            string     `json:"plan" doc:"The plan that it started with"`
	PriceHourMicros int64      `json:"price_hour_micros" doc:"Of one instance, for an hour"`
	StartedAt       time.Time  `json:"started_at" doc:"When it became healthy"`
	EndedAt         *time.Time `json:"ended_at,omitempty" doc:"Absent: it runs"`
	BilledUntil     time.Time  `json:"billed_until" doc:"What is before is on the ledger"`
}

// LedgerEntry is one movement of an organisation's money.
type LedgerEntry struct {
	Sequence      int64     `json:"sequence" doc:"Counts the wallet's entries from 1, without gaps"`
	Kind          string    `json:"kind" enum:"usage,top-up,credit,adjustment" doc:"What moved the money"`
	Ref           string    `json:"ref" doc:"Of the payment or the usage; unique for its kind"`
	AmountMicros  int64     `json:"amount_micros" doc:"Below 0 is taken from the wallet"`
	BalanceMicros int64     `json:"balance_micros" doc:"After it"`
	Detail        string    `json:"detail,omitempty" doc:"What it was for"`
	Actor         string    `json:"actor" doc:"Who did it"`
	CreatedAt     time.Time `json:"created_at" doc:"When it was made"`
}

// Credit puts money into a wallet.
type Credit struct {
	AmountMicros int64  `json:"amount_micros" example:"25000000" doc:"In millionths of the currency; below 0 only for an adjustment"`
	Kind         string `json:"kind,omitempty" enum:"top-up,credit,adjustment" default:"top-up" doc:"A payment, a gift, or a correction"`
	Ref          string `json:"ref,omitempty" maxLength:"100" doc:"Of the payment; the same ref is posted once only"`
	Detail       string `json:"detail,omitempty" maxLength:"500" doc:"For whoever reads the ledger"`
}

// Verification is the outcome of replaying all usage.
type Verification struct {
	Intervals    int        `json:"intervals" doc:"How many were replayed"`
	Ledgers      int        `json:"ledgers" doc:"How many were added up"`
	BilledMicros int64      `json:"billed_micros" doc:"The sum of all that was billed"`
	Mismatches   []Mismatch `json:"mismatches" doc:"Totals that the replay does not reproduce; none is well"`
}

// Mismatch is a total that the replay does not reproduce.
type Mismatch struct {
	Subject        string `json:"subject" doc:"Which total it is"`
	ExpectedMicros int64  `json:"expected_micros" doc:"What the replay says"`
	FoundMicros    int64  `json:"found_micros" doc:"What is stored"`
}

// Balance returns how an organisation stands.
func (c *Client) Balance(ctx context.Context, organisation string) (Balance, error) {
	return call[Balance](ctx, c, http.MethodGet, orgPath(organisation)+"/billing", nil)
}

// SetSpendingAlert decides from which sum in a month the organisation is told.
func (c *Client) SetSpendingAlert(ctx context.Context, organisation string, micros int64) (Balance, error) {
	return call[Balance](ctx, c, http.MethodPatch, orgPath(organisation)+"/billing", SpendingAlert{micros})
}

// Invoices lists an organisation's invoices, the newest first.
func (c *Client) Invoices(ctx context.Context, organisation string) ([]Invoice, error) {
	return call[[]Invoice](ctx, c, http.MethodGet, orgPath(organisation)+"/billing/invoices", nil)
}

// Invoice returns the invoice of a month such as "2026-11".
func (c *Client) Invoice(ctx context.Context, organisation, month string) (Invoice, error) {
	return call[Invoice](ctx, c, http.MethodGet, orgPath(organisation)+"/billing/invoices/"+url.PathEscape(month), nil)
}

// Usage lists for how long which instances ran in a month; an empty one is this.
func (c *Client) Usage(ctx context.Context, organisation, month string) ([]Usage, error) {
	return list[Usage](ctx, c, orgPath(organisation)+"/billing/usage?month="+url.QueryEscape(month))
}

// Ledger lists the movements of an organisation's money.
func (c *Client) Ledger(ctx context.Context, organisation string) ([]LedgerEntry, error) {
	return list[LedgerEntry](ctx, c, orgPath(organisation)+"/billing/ledger?")
}

// TopUp puts money into an organisation's wallet, for an admin.
func (c *Client) TopUp(ctx context.Context, organisation string, credit Credit) (LedgerEntry, error) {
	return call[LedgerEntry](ctx, c, http.MethodPost, admin+"/organisations/"+url.PathEscape(organisation)+"/credits", credit)
}

// VerifyBilling replays all usage, for an admin.
func (c *Client) VerifyBilling(ctx context.Context) (Verification, error) {
	return call[Verification](ctx, c, http.MethodGet, admin+"/billing/verification", nil)
}
