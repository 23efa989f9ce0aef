package scheduler

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestPlaceSpreadsThenBalances(t *testing.T) {
	busy, idle := models.NewID(), models.NewID()
	cases := map[string]struct {
		nodes []Node
		count int
		want  []models.ID
	}{
		"one node takes all":   {[]Node{{ID: busy}}, 2, []models.ID{busy, busy}},
		"spread over nodes":    {[]Node{{ID: busy}, {ID: idle}}, 2, []models.ID{busy, idle}},
		"least loaded first":   {[]Node{{ID: busy, Instances: 5}, {ID: idle}}, 1, []models.ID{idle}},
		"own instances weigh":  {[]Node{{ID: busy, Instances: 9}, {ID: idle, Instances: 1, OfApp: 1}}, 1, []models.ID{busy}},
		"nothing to be placed": {nil, 0, []models.ID{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Place(c.nodes, c.count)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestPlaceWithoutNodesIsRefused(t *testing.T) {
	_, err := Place(nil, 1)
	require.True(t, models.IsCode(err, models.Unavailable))
}
