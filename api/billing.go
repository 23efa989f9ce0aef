package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
)

func (s *server) billing(routes huma.API) {
	const own = orgPath + "/billing"
	huma.Register(routes, operation(http.MethodGet, own, "get-billing", "Show balance and month to date", models.BillingRead), s.getBilling)
	huma.Register(routes, operation(http.MethodPatch, own, "change-billing", "Set the spending alert", models.BillingManage), s.changeBilling)
	huma.Register(routes, operation(http.MethodGet, own+"/invoices", "list-invoices", "List invoices, the newest first", models.BillingRead), s.listInvoices)
	huma.Register(routes, operation(http.MethodGet, own+"/invoices/{month}", "get-invoice", "Show an itemised invoice", models.BillingRead), s.getInvoice)
	huma.Register(routes, operation(http.MethodGet, own+"/usage", "list-usage", "List for how long which instances ran", models.BillingRead), s.listUsage)
	huma.Register(routes, operation(http.MethodGet, own+"/ledger", "list-ledger", "List the movements of the wallet", models.BillingRead), s.listLedger)
	huma.Register(routes, creating(adminPrefix+"/organisations/{organisation}/credits", "top-up", "Put money into a wallet", models.PlatformManage), s.topUp)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/billing/verification", "verify-billing", "Replay all usage and compare every total", models.PlatformManage), s.verifyBilling)
}

func wireBalance(balance platform.Balance) v1.Balance {
	return v1.Balance{
		Organisation: balance.Organisation.Name, Currency: balance.Currency, Billing: balance.Billing,
		BalanceMicros: int64(balance.Wallet.Balance), HourMicros: int64(balance.HourCost), Month: balance.Month,
		MonthToDateMicros: int64(balance.MonthToDate), SpendingAlertMicros: int64(balance.Wallet.SpendingAlert),
		GraceUntil: balance.Wallet.GraceUntil, Suspended: balance.Organisation.Suspended,
	}
}

func (s *server) getBilling(ctx context.Context, input *OrganisationInput) (*body[v1.Balance], error) {
	balance, err := s.Platform.Balance(ctx, actor(ctx), input.Organisation)
	return answer(ctx, s, wireBalance(balance), err)
}

func (s *server) changeBilling(ctx context.Context, input *struct {
	OrganisationInput
	Body v1.SpendingAlert
}) (*body[v1.Balance], error) {
	balance, err := s.Platform.SetSpendingAlert(ctx, actor(ctx), input.Organisation, models.Money(input.Body.SpendingAlertMicros))
	return answer(ctx, s, wireBalance(balance), err)
}

func wireInvoice(invoice platform.Invoice) v1.Invoice {
	return v1.Invoice{
		Organisation: invoice.Organisation.Name, Month: invoice.Month, Currency: invoice.Currency, Closed: invoice.Closed,
		Lines: each(invoice.Lines, wireInvoiceLine), TotalMicros: int64(invoice.Total),
	}
}

func wireInvoiceLine(line store.InvoiceLine) v1.InvoiceLine {
	return v1.InvoiceLine{
		App: line.AppName, Process: line.Process, Plan: line.PlanName, PriceHourMicros: int64(line.PriceHour), Instances: line.Instances,
		Hours: (time.Duration(line.UsedMicros) * time.Microsecond).Hours(), AmountMicros: int64(line.Amount),
	}
}

func (s *server) listInvoices(ctx context.Context, input *OrganisationInput) (*body[[]v1.Invoice], error) {
	invoices, err := s.Platform.Invoices(ctx, actor(ctx), input.Organisation)
	return answer(ctx, s, each(invoices, wireInvoice), err)
}

func (s *server) getInvoice(ctx context.Context, input *struct {
	OrganisationInput
	Month string `path:"month" maxLength:"7" doc:"As 2026-11"`
}) (*body[v1.Invoice], error) {
	invoice, err := s.Platform.Invoice(ctx, actor(ctx), input.Organisation, input.Month)
	return answer(ctx, s, wireInvoice(invoice), err)
}

func (s *server) listUsage(ctx context.Context, input *struct {
	OrganisationInput
	PageInput
	Month string `query:"month" maxLength:"7" doc:"As 2026-11; by default this month"`
}) (*body[v1.Page[v1.Usage]], error) {
	rows, err := s.Platform.Usage(ctx, actor(ctx), input.Organisation, input.Month, input.page())
	return pageOf(ctx, s, rows, func(row models.UsageInterval) v1.Usage {
		return v1.Usage{
			Instance: row.InstanceID.String(), App: row.AppName, Process: row.Process, Plan: row.PlanName,
			PriceHourMicros: int64(row.PriceHour), StartedAt: row.StartedAt, EndedAt: row.EndedAt, BilledUntil: row.BilledUntil,
		}
	}, err)
}

func wireLedgerEntry(entry models.LedgerEntry) v1.LedgerEntry {
	return v1.LedgerEntry{
		Sequence: entry.Sequence, Kind: string(entry.Kind), Ref: entry.Ref, AmountMicros: int64(entry.Amount),
		BalanceMicros: int64(entry.Balance), Detail: entry.Detail, Actor: entry.Actor, CreatedAt: entry.CreatedAt,
	}
}

func (s *server) listLedger(ctx context.Context, input *struct {
	OrganisationInput
	PageInput
	Kind string `query:"kind" enum:"usage,top-up,credit,adjustment" doc:"Only those of this kind"`
}) (*body[v1.Page[v1.LedgerEntry]], error) {
	rows, err := s.Platform.Ledger(ctx, actor(ctx), input.Organisation, input.Kind, input.page())
	return pageOf(ctx, s, rows, wireLedgerEntry, err)
}

func (s *server) topUp(ctx context.Context, input *struct {
	OrganisationInput
	Body v1.Credit
}) (*body[v1.LedgerEntry], error) {
	entry := models.LedgerEntry{
		Kind: models.LedgerKind(input.Body.Kind), Ref: input.Body.Ref, Amount: models.Money(input.Body.AmountMicros), Detail: input.Body.Detail,
	}
	entry, err := s.Platform.TopUp(ctx, actor(ctx), input.Organisation, entry)
	return answer(ctx, s, wireLedgerEntry(entry), err)
}

func (s *server) verifyBilling(ctx context.Context, _ *struct{}) (*body[v1.Verification], error) {
	found, err := s.Platform.VerifyBilling(ctx, actor(ctx))
	return answer(ctx, s, v1.Verification{
		Intervals: found.Intervals, Ledgers: found.Ledgers, BilledMicros: int64(found.Billed),
		Mismatches: each(found.Mismatches, func(row platform.Mismatch) v1.Mismatch {
			return v1.Mismatch{Subject: row.Subject, ExpectedMicros: int64(row.Expected), FoundMicros: int64(row.Found)}
		}),
	}, err)
}
