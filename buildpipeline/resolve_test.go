package buildpipeline

import (
	"testing"

	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// rows are what an installation offers: 22 and 3.11 are the defaults, 16 is
// switched off.
func rows() []models.Runtime {
	var rows []models.Runtime
	for _, version := range []string{"16", "18", "24", "20", "22"} {
		rows = append(rows, models.Runtime{Type: "node", Version: version, Default: version == "22", Active: version != "16"})
	}
	for _, version := range []string{"3.10", "3.11", "3.12"} {
		rows = append(rows, models.Runtime{Type: "python", Version: version, Default: version == "3.11", Active: true})
	}
	return append(rows,
		models.Runtime{Type: "go", Version: "1.26", Default: true, Active: true},
		models.Runtime{Type: "php", Version: "8.2", Default: true, Active: true},
		models.Runtime{Type: "odd", Version: "1.2.3.4-custom", Active: true},
	)
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		kind, constraint string
		want             []string
	}{
		{"node", "", []string{"22", "24", "20", "18"}},
		{"node", "*", []string{"22", "24", "20", "18"}},
		{"node", "lts/*", []string{"22", "24", "20", "18"}},
		{"node", "lts/iron", []string{"20"}},
		{"node", "lts/Krypton", []string{"24"}},
		{"node", "lts/argon", nil},
		{"node", "node", []string{"22", "24", "20", "18"}},
		{"node", "22", []string{"22"}},
		{"node", "v20.11.1", []string{"20"}},
		{"node", "=20.11.1", []string{"20"}},
		{"node", "18.x", []string{"18"}},
		{"node", "^20.10.0", []string{"20"}},
		{"node", "~18.19", []string{"18"}}, // a row is the newest of its line
		{"node", "20.17.x", []string{"20"}},
		{"node", "~20.17.0", []string{"20"}},
		{"node", ">=20.17 <20.18", nil},
		{"node", ">=20", []string{"22", "24", "20"}},
		{"node", ">=18 <21", []string{"20", "18"}},
		{"node", "18 || 20", []string{"20", "18"}},
		{"node", "18 - 20", []string{"20", "18"}},
		{"node", ">20", []string{"22", "24"}}, // as npm has it: above every 20.x
		{"node", ">=26", nil},
		{"node", "16", nil},
		{"node", "banana", nil},
		{"python", "~3.12", []string{"3.12"}},
		{"python", "~3", []string{"3.11", "3.12", "3.10"}},
		{"python", "3.10.4", []string{"3.10"}},
		{"go", ">=1.24", []string{"1.26"}},
		{"go", ">=1.27", nil},
		{"php", "^7.3 || ^8.0", []string{"8.2"}},
		{"php", ">=8.1,<9", []string{"8.2"}},
		{"php", "8.1.*", nil},
		{"odd", "1.2.3.4-custom", []string{"1.2.3.4-custom"}},
		{"odd", ">=1", nil},
	} {
		candidates, _ := choose(buildpacks.Requirement{Type: test.kind, Constraint: test.constraint}, rows())
		var got []string
		for _, row := range candidates {
			got = append(got, row.Version)
		}
		require.Equal(t, test.want, got, "%s %s", test.kind, test.constraint)
	}
}

// TestUnavailable asks for what no row offers: the error lists what there is,
// without rows that are switched off.
func TestUnavailable(t *testing.T) {
	plan := &buildpacks.Plan{Language: "Node.js", Need: &buildpacks.Requirement{Type: "node", Constraint: ">=26", Source: "engines.node"}}
	_, err := (&Builder{}).resolve(t.Context(), plan, rows(), nil)
	refused := models.AsError(err)
	require.NotNil(t, refused)
	require.Equal(t, models.Failed, refused.Code)
	require.Equal(t, "Node.js >=26 is not available, which engines.node asks for", refused.Message)
	require.Equal(t, "ask for one of 18, 20, 22, 24", refused.Remedy)
	require.Equal(t, "engines.node", refused.Field)
}
