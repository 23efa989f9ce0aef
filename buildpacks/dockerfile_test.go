package buildpacks

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

const stages = "FROM a AS first\nEXPOSE 7000\nFROM first AS second\nFROM b\nEXPOSE 9000/udp 9001\n"

func TestDockerfileSettings(t *testing.T) {
	for name, test := range map[string]struct {
		files   repo
		options Options
		want    Plan
	}{
		"root":          {repo{"Dockerfile": stages}, Options{}, Plan{DockerfilePath: "Dockerfile", Port: 9001}},
		"Containerfile": {repo{"Containerfile": "FROM a\n"}, Options{}, Plan{DockerfilePath: "Containerfile", Port: defaultPort}},
		"target":        {repo{"Dockerfile": stages}, Options{DockerTarget: "second"}, Plan{DockerfilePath: "Dockerfile", Port: 7000, Target: "second"}},
		"path":          {repo{"deploy/Dockerfile": "FROM a\n", "Dockerfile": ""}, Options{Dockerfile: "/deploy/Dockerfile"}, Plan{DockerfilePath: "deploy/Dockerfile", Port: defaultPort}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Detect(test.files.fs(), test.options)
			require.NoError(t, err)
			require.Equal(t, test.want, Plan{DockerfilePath: plan.DockerfilePath, Port: plan.Port, Target: plan.Target})
		})
	}
	_, err := Detect(repo{"Dockerfile": stages}.fs(), Options{DockerTarget: "third"})
	require.ErrorContains(t, err, "the Dockerfile has no stage third")
	require.Contains(t, models.AsError(err).Remedy, "first, second")
	_, err = Detect(repo{"Dockerfile": stages}.fs(), Options{Dockerfile: "x/Dockerfile"})
	require.ErrorContains(t, err, "the repository has no file x/Dockerfile")
}
