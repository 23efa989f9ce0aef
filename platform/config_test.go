package platform

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestAConfigIsBoundedAsAWhole: many values that are each short enough must not
// make an Assignment that is longer than a frame, which would cut the node off.
func TestAConfigIsBoundedAsAWhole(t *testing.T) {
	s := newStage(t)
	set := map[string]string{}
	for i := range 3 {
		set[fmt.Sprint("BIG", i)] = strings.Repeat("x", maxEnvValue-10)
	}
	_, err := s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: set}, silent{})
	require.True(t, models.IsCode(err, models.TooLarge), "%v", err)
	require.NotEmpty(t, models.AsError(err).Remedy)
	delete(set, "BIG2")
	_, err = s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: set}, silent{})
	require.NoError(t, err)
}

// TestAConfigThatIsTooLargeAlreadyMayShrink: a limit that came later locks
// nobody out.
func TestAConfigThatIsTooLargeAlreadyMayShrink(t *testing.T) {
	large := map[string]string{"A": strings.Repeat("x", 2*maxConfig), "B": "x"}
	require.NoError(t, checkSize(large, map[string]string{"A": large["A"]}))
	require.Error(t, checkSize(large, map[string]string{"A": large["A"], "B": "xx"}))
}

func TestAChangeOfManyVariablesIsDescribedBriefly(t *testing.T) {
	require.Equal(t, "Set A, B; Unset C", describeChange([]string{"A", "B"}, []string{"C"}))
	require.Equal(t, "Set A, B, C, D, E and 2 more", describeChange([]string{"A", "B", "C", "D", "E", "F", "G"}, nil))
}
