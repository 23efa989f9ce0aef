package api

import (
	_ "embed"
	"net/http"
	"runtime"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// installScript registers a machine as a node; @SERVER@ stands for our address.
//
//go:embed install.sh
var installScript string

// machines are the names that uname has for Go's architectures.
var machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// install serves what a fresh machine needs to become a node: the script, which
// holds no secret, and this very program, for who has a join token.
func (s *server) install(engine *gin.Engine) {
	engine.GET(internalPrefix+"/install.sh", func(c *gin.Context) {
		c.Data(http.StatusOK, "text/x-shellscript; charset=utf-8", []byte(strings.ReplaceAll(installScript, "@SERVER@", s.installAddress())))
	})
	engine.GET(internalPrefix+"/program/:machine", s.program)
	if authority := s.Platform.Settings.AgentCA; len(authority) > 0 {
		engine.GET(protocol.AuthorityPath, func(c *gin.Context) { c.Data(http.StatusOK, "application/x-pem-file", authority) })
	}
}

// installAddress is our address as the script quotes it.
func (s *server) installAddress() string {
	return strings.ReplaceAll(strings.TrimSuffix(s.Platform.Settings.PublicURL, "/"), "'", "%27")
}

func (s *server) program(c *gin.Context) {
	token, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	err := s.Platform.CheckJoin(c.Request.Context(), token)
	if err == nil && (s.Program == "" || c.Param("machine") != machines[runtime.GOARCH]) {
		err = models.Errorf(models.NotFound, "this control plane has no program for %s", c.Param("machine")).WithField("machine").
			WithRemedy("build it from the same release: GOARCH=… make build")
	}
	if err != nil {
		s.refuseRaw(c, err)
		return
	}
	c.File(s.Program)
}
