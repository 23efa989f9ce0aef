package platform

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnAssignmentIsOfOneMoment: whoever asks for one while Releases follow each
// other gets one that routes to what serves, and to nothing else.
func TestAnAssignmentIsOfOneMoment(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	node := s.local(t).ID
	ctx, cancel := context.WithCancel(t.Context())
	torn := make(chan string, 1)
	looks := 0
	go func() {
		defer close(torn)
		for ; ctx.Err() == nil; looks++ {
			assignment, err := s.Assignment(ctx, node)
			if err == nil && len(assignment.Routes[0].Targets) != 1 {
				torn <- fmt.Sprintf("generation %d routes to %v of %d instances", assignment.Generation, assignment.Routes[0].Targets, len(assignment.Instances))
				return
			}
		}
	}()
	for digit := 2; digit <= 9; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	cancel()
	require.Empty(t, <-torn)
	require.Positive(t, looks)
}
