package platform

import (
	"testing"

	"github.com/skypanel/sky/internal/testenv"
	"modernc.org/sqlite"
)

func TestMain(m *testing.M) {
	sqlite.RegisterConnectionHook(countCommits)
	testenv.Main(m)
}
