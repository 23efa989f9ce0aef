package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/platform/logs"
)

// gitHubPages are what a browser sees on its way to GitHub and back, and what the
// links in GitHub lead to.
func (p *pages) gitHubPages(engine *gin.Engine) {
	engine.GET(gitHubPath+"/authorize", p.toGitHub)
	engine.GET(platform.CallbackPath, p.fromGitHub)
	engine.GET("/builds/:app/:number", p.build)
}

// session returns whose session the browser has, or nobody.
func (p *pages) session(c *gin.Context) models.Actor {
	cookie, err := c.Cookie(p.cookieName())
	if err != nil {
		return models.Actor{}
	}
	who, err := p.Platform.ActorBySession(c.Request.Context(), cookie)
	if err != nil {
		return models.Actor{}
	}
	who.Address = c.ClientIP()
	return who
}

// toGitHub sends a browser with a session to GitHub.
func (p *pages) toGitHub(c *gin.Context) {
	begun, err := p.Platform.AuthorizeGitHub(c.Request.Context(), p.session(c), c.Query("public") == "true")
	if err != nil {
		p.refused(c, page{Title: connectTitle}, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Redirect(http.StatusSeeOther, begun.URL)
}

const connectTitle = "Connect with GitHub"

// fromGitHub takes a browser that comes back.
func (p *pages) fromGitHub(c *gin.Context) {
	done, err := p.Platform.ArriveFromGitHub(c.Request.Context(), p.session(c), platform.Arrival{
		State: c.Query("state"), Code: c.Query("code"), Error: c.Query("error"),
	})
	if err != nil {
		p.refused(c, page{Title: connectTitle}, err)
		return
	}
	if done.Code == "" {
		p.write(c, http.StatusOK, page{Title: "Connected", Text: done.Login + " at GitHub is connected with " + done.User + "."})
		return
	}
	p.write(c, http.StatusOK, page{
		Title: "One step left", Command: done.Code,
		Text: fmt.Sprintf("Type this code in the terminal where you began. It connects %s at GitHub with the account %s of this Sky. "+
			"If you did not begin this, close the page and tell nobody the code.", done.Login, done.User),
	})
}

// maxPageLog bounds the log that a page shows.
const maxPageLog = 2 << 20

// build shows a build's log to who has a session and may read it, and else the
// command that does. It tells nobody whether there is such a build.
func (p *pages) build(c *gin.Context) {
	ctx, name := c.Request.Context(), c.Param("app")
	number, err := strconv.Atoi(c.Param("number"))
	if err != nil || number < 1 || models.CheckAppName(name) != nil {
		p.refused(c, page{Title: "Build"}, models.Errorf(models.NotFound, "there is nothing at this address"))
		return
	}
	shown := page{
		Title: fmt.Sprintf("Build #%d of %s", number, name), Command: fmt.Sprintf("sky builds logs %d -a %s", number, name),
		Text: "Read its log in your terminal, or log in here first:",
	}
	app, err := p.Platform.App(ctx, p.session(c), models.AppRead, name)
	var build models.Build
	if err == nil {
		build, err = p.Platform.BuildNumber(ctx, app, number)
	}
	if err != nil {
		p.write(c, http.StatusOK, shown)
		return
	}
	shown.Text, shown.Command = string(build.State), ""
	if build.Error != "" {
		shown.Text += ": " + build.Error
	}
	var text strings.Builder
	err = p.Platform.BuildLog(ctx, build, 0, false, func(entry logs.Entry) error {
		if text.Len() < maxPageLog {
			text.WriteString(entry.Text + "\n")
		}
		return nil
	})
	if err != nil {
		p.refused(c, shown, err)
		return
	}
	shown.Command = text.String()
	p.write(c, http.StatusOK, shown)
}
