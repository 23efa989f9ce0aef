package platform

import (
	"testing"

	"github.com/skypanel/sky/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
