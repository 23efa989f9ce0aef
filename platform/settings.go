package platform

import (
	"context"
	"regexp"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/scheduler"
)

// Options are what admins decide while Sky runs. Settings, in contrast, is what
// the operator decided at its start.
type Options struct {
	// Currency is what prices are in, as ISO 4217 names it.
	Currency string `json:"currency"`
	// Billing makes Organisations pay from their wallets. Without it, usage is
	// metered at no price, and nobody is suspended.
	Billing bool `json:"billing"`
	// GraceHours is how long an Organisation without funds runs on.
	GraceHours int `json:"grace_hours"`
	// LowBalanceHours: an Organisation whose funds last shorter is told so.
	LowBalanceHours int `json:"low_balance_hours"`
	// DefaultPlan is what an App gets that asks for none.
	DefaultPlan string `json:"default_plan"`
	// CustomImages lets apps bring a Dockerfile or an image of their own, and
	// admins name images beyond the official ones.
	CustomImages bool `json:"custom_images"`
	// VerifyDomains has owners of domains prove that they are.
	VerifyDomains bool `json:"verify_domains"`
	// KeepReleases is how many of an App's newest Releases that served keep their
	// images, so that it can go back to them.
	KeepReleases int `json:"keep_releases"`
	// CacheMB is what the builds' cache may take of the disk; 0 is no bound.
	CacheMB int `json:"cache_mb"`
	// AppCacheMB is what the caches that one App's builds mount may take; 0 is no
	// bound.
	AppCacheMB int `json:"app_cache_mb"`
	// MaxAppsPerOrganisation bounds how many apps one has.
	MaxAppsPerOrganisation int `json:"max_apps_per_organisation"`
	// MaxOrganisationsPerUser bounds how many somebody may create.
	MaxOrganisationsPerUser int `json:"max_organisations_per_user"`
	// CPUOvercommitPercent and MemoryOvercommitPercent are how much of what nodes
	// have plans may promise.
	CPUOvercommitPercent    int `json:"cpu_overcommit_percent"`
	MemoryOvercommitPercent int `json:"memory_overcommit_percent"`
	// LostAfterSeconds is how long a node may be offline until what it runs is
	// replaced elsewhere.
	LostAfterSeconds int `json:"lost_after_seconds"`
}

// policy is how much of the nodes may be promised.
func (o Options) policy() scheduler.Policy {
	return scheduler.Policy{CPUPercent: o.CPUOvercommitPercent, MemoryPercent: o.MemoryOvercommitPercent}
}

func defaultOptions() Options {
	return Options{
		Currency: "EUR", GraceHours: 24, LowBalanceHours: 72, DefaultPlan: defaultPlan, CustomImages: true, VerifyDomains: true,
		KeepReleases: 10, CacheMB: 20 << 10, AppCacheMB: 4 << 10, MaxAppsPerOrganisation: 1000, MaxOrganisationsPerUser: 20,
		CPUOvercommitPercent: 1000, MemoryOvercommitPercent: 100, LostAfterSeconds: 120,
	}
}

var currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)

// optionsSetting is the row that Options are kept in.
const optionsSetting = "options"

// Options returns what the admins decided; what they did not has its default.
func (p *Platform) Options(ctx context.Context) (Options, error) { return optionsOf(ctx, p.Store) }

func optionsOf(ctx context.Context, from *store.Store) (Options, error) {
	options := defaultOptions()
	err := from.Setting(ctx, optionsSetting, &options)
	return options, err
}

// OptionsChange are the options to change; nil leaves one as it is.
type OptionsChange struct {
	Currency                *string
	Billing                 *bool
	GraceHours              *int
	LowBalanceHours         *int
	DefaultPlan             *string
	CustomImages            *bool
	VerifyDomains           *bool
	KeepReleases            *int
	CacheMB                 *int
	AppCacheMB              *int
	MaxAppsPerOrganisation  *int
	MaxOrganisationsPerUser *int
	CPUOvercommitPercent    *int
	MemoryOvercommitPercent *int
	LostAfterSeconds        *int
}

// ShowOptions returns the options, for an admin.
func (p *Platform) ShowOptions(ctx context.Context, actor models.Actor) (Options, error) {
	if err := permitPlatform(actor); err != nil {
		return Options{}, err
	}
	return p.Options(ctx)
}

// ChangeOptions changes options and returns all of them as they are then.
func (p *Platform) ChangeOptions(ctx context.Context, actor models.Actor, change OptionsChange) (Options, error) {
	if err := permitPlatform(actor); err != nil {
		return Options{}, err
	}
	options := defaultOptions()
	err := p.commit(ctx, actor, fact{kind: "settings.change"}, func(tx *store.Store) error {
		if err := tx.LockSetting(ctx, optionsSetting, &options); err != nil {
			return err
		}
		if err := change.apply(ctx, tx, &options); err != nil {
			return err
		}
		return tx.PutSetting(ctx, optionsSetting, options)
	})
	return options, err
}

func (c OptionsChange) apply(ctx context.Context, tx *store.Store, options *Options) error {
	put(&options.Currency, c.Currency)
	put(&options.Billing, c.Billing)
	put(&options.GraceHours, c.GraceHours)
	put(&options.LowBalanceHours, c.LowBalanceHours)
	put(&options.DefaultPlan, c.DefaultPlan)
	put(&options.CustomImages, c.CustomImages)
	put(&options.VerifyDomains, c.VerifyDomains)
	put(&options.KeepReleases, c.KeepReleases)
	put(&options.CacheMB, c.CacheMB)
	put(&options.AppCacheMB, c.AppCacheMB)
	put(&options.MaxAppsPerOrganisation, c.MaxAppsPerOrganisation)
	put(&options.MaxOrganisationsPerUser, c.MaxOrganisationsPerUser)
	put(&options.CPUOvercommitPercent, c.CPUOvercommitPercent)
	put(&options.MemoryOvercommitPercent, c.MemoryOvercommitPercent)
	put(&options.LostAfterSeconds, c.LostAfterSeconds)
	if err := options.checkNodes(); err != nil {
		return err
	}
	if !currencyPattern.MatchString(options.Currency) {
		return models.Errorf(models.Invalid, "%q is not a currency", options.Currency).WithField("currency").
			WithRemedy("use its three capital letters, such as EUR")
	}
	for field, hours := range map[string]int{"grace_hours": options.GraceHours, "low_balance_hours": options.LowBalanceHours} {
		if hours < 0 || hours > 24*365 {
			return models.Errorf(models.Invalid, "%d hours are not allowed", hours).WithField(field).WithRemedy("use 0 to 8760")
		}
	}
	if options.KeepReleases < 1 || options.KeepReleases > models.MaxPage {
		return models.Errorf(models.Invalid, "%d releases are not allowed", options.KeepReleases).WithField("keep_releases").WithRemedy("use 1 to %d", models.MaxPage)
	}
	for field, megabytes := range map[string]int{"cache_mb": options.CacheMB, "app_cache_mb": options.AppCacheMB} {
		if megabytes < 0 {
			return models.Errorf(models.Invalid, "a cache of less than nothing is not allowed").WithField(field).WithRemedy("use 0, which is no bound, or more")
		}
	}
	if options.MaxAppsPerOrganisation < 1 || options.MaxOrganisationsPerUser < 0 {
		return models.Errorf(models.Invalid, "a limit of nothing is not allowed").WithField("max_apps_per_organisation").WithRemedy("use at least 1")
	}
	if c.DefaultPlan == nil {
		return nil
	}
	plan, err := tx.PlanByName(ctx, options.DefaultPlan)
	if models.IsCode(err, models.NotFound) || (err == nil && !plan.Active) {
		return models.Errorf(models.Invalid, "there is no active plan %q", options.DefaultPlan).WithField("default_plan").
			WithRemedy("`sky plans list` shows them")
	}
	return err
}

// checkNodes checks the options of nodes.
func (o Options) checkNodes() error {
	for _, option := range []struct {
		field              string
		value, least, most int
	}{
		{"cpu_overcommit_percent", o.CPUOvercommitPercent, 10, 10_000},
		{"memory_overcommit_percent", o.MemoryOvercommitPercent, 10, 1000},
		{"lost_after_seconds", o.LostAfterSeconds, 10, 7 * 24 * 3600},
	} {
		if option.value < option.least || option.value > option.most {
			return models.Errorf(models.Invalid, "%d is not allowed", option.value).WithField(option.field).
				WithRemedy("use %d to %d", option.least, option.most)
		}
	}
	return nil
}

// put writes a value that was given.
func put[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

// choosePlan returns the id of the named plan, or of the platform's default one
// when name is empty; nil when there is none yet.
func (p *Platform) choosePlan(ctx context.Context, name string) (*models.ID, error) {
	asked := name
	if name == "" {
		options, err := p.Options(ctx)
		if err != nil {
			return nil, err
		}
		name = options.DefaultPlan
	}
	plan, err := p.Store.PlanByName(ctx, name)
	if models.IsCode(err, models.NotFound) && asked == "" {
		return nil, nil
	}
	if models.IsCode(err, models.NotFound) || (err == nil && !plan.Active) {
		return nil, models.Errorf(models.Invalid, "there is no plan %q", name).WithField("plan").WithRemedy("`sky plans list` shows them")
	}
	return &plan.ID, err
}
