package store

import (
	"context"
	"sync"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm/schema"
)

// everyModel has one of each model that a table holds.
var everyModel = []schema.Tabler{
	models.App{}, models.AppDatabase{}, models.BillingRecord{}, models.Build{}, models.Database{}, models.Deployment{},
	models.Domain{}, models.EnvVar{}, models.Event{}, models.IdempotencyKey{}, models.Instance{}, models.Invitation{},
	models.Key{}, models.LedgerEntry{}, models.Membership{}, models.Node{}, models.Notification{}, models.OneTimeToken{},
	models.Organisation{}, models.Plan{}, models.PlanRuntime{}, models.Release{}, models.Runtime{}, models.SBOM{}, models.Session{},
	models.Setting{}, models.Task{}, models.Token{}, models.UsageInterval{}, models.User{}, models.Wallet{},
	models.WebhookDelivery{}, models.GitHubHost{}, models.GitHubConnection{}, models.GitHubAuthorization{}, models.GitHubLink{},
	models.GitHubPreview{}, models.GitHubReport{}, models.AppTraffic{}, models.AppUsage{}, models.NodeUsage{}, models.TrafficMark{},
}

// ModelColumns lists the columns that the models have, by table.
func ModelColumns() (map[string][]string, error) {
	tables := map[string][]string{}
	for _, model := range everyModel {
		parsed, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
		if err != nil {
			return nil, err
		}
		tables[parsed.Table] = parsed.DBNames
	}
	return tables, nil
}

// Columns lists the columns of the tables that there are.
func (s *Store) Columns(ctx context.Context) (map[string][]string, error) {
	query := `SELECT m.name AS "table", c.name AS "column" FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name LIKE 'paas_%'`
	if s.engine == enginePostgres {
		query = `SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name LIKE 'paas_%'`
	}
	var rows []struct{ Table, Column string }
	if err := s.reader(ctx).Raw(query).Scan(&rows).Error; err != nil {
		return nil, err
	}
	tables := map[string][]string{}
	for _, row := range rows {
		tables[row.Table] = append(tables[row.Table], row.Column)
	}
	return tables, nil
}

// Applied lists the migrations that the database has, in the order in which they
// came.
func (s *Store) Applied(ctx context.Context) ([]int64, error) {
	var versions []int64
	err := s.reader(ctx).Raw("SELECT version_id FROM goose_db_version ORDER BY id").Scan(&versions).Error
	return versions, err
}
