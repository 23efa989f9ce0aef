package api

import (
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"html/template"
	"net/http"

	"github.com/gin-gonic/gin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

const maxForm = 16 << 10

// page is what the one-time links show. It needs no script and nothing from
// elsewhere.
type page struct {
	Title   string
	Text    string
	Command string
	Problem *v1.Problem
	Form    bool
	Setup   bool // whether the form asks for name and e-mail address
	Name    string
	Email   string
	Style   template.CSS
}

// pages serve one-time links to browsers, before there is a dashboard.
type pages struct {
	*server
	template *template.Template
	policy   string
}

func (s *server) pages(engine *gin.Engine) {
	sum := sha256.Sum256([]byte(pageCSS))
	p := &pages{
		server: s, template: template.Must(template.New("page").Parse(pageHTML)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	}
	for _, purpose := range []models.OneTimePurpose{models.OneTimeSetup, models.OneTimePassword} {
		path := "/" + string(purpose) + "/:token"
		engine.GET(path, func(c *gin.Context) { p.show(c, purpose) })
		engine.POST(path, func(c *gin.Context) { p.submit(c, purpose) })
	}
	p.gitHubPages(engine)
}

func titleOf(purpose models.OneTimePurpose) string {
	if purpose == models.OneTimeSetup {
		return "Set up Sky"
	}
	return "Set your password"
}

// show shows the form. It spends nothing: whoever looks ahead at links does no
// harm.
func (p *pages) show(c *gin.Context, purpose models.OneTimePurpose) {
	owner, err := p.Platform.LinkOwner(c.Request.Context(), purpose, c.Param("token"))
	if err != nil {
		p.refused(c, page{Title: titleOf(purpose)}, err)
		return
	}
	p.write(c, http.StatusOK, page{Title: titleOf(purpose), Form: true, Setup: purpose == models.OneTimeSetup, Name: owner.Name})
}

func (p *pages) submit(c *gin.Context, purpose models.OneTimePurpose) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	shown := page{
		Title: titleOf(purpose), Form: true, Setup: purpose == models.OneTimeSetup, Name: c.PostForm("name"), Email: c.PostForm("email"),
	}
	user, err := p.apply(c, purpose)
	if err != nil {
		code := models.CodeOf(err)
		shown.Form = code == models.Invalid || code == models.Conflict
		p.refused(c, shown, err)
		return
	}
	p.write(c, http.StatusOK, page{
		Title: "Done", Text: "Your password is set. Log in on your own machine:",
		Command: "sky login " + p.Platform.Settings.PublicURL + " --user " + user.Name,
	})
}

func (p *pages) apply(c *gin.Context, purpose models.OneTimePurpose) (models.User, error) {
	if err := p.cross.Check(c.Request); err != nil {
		return models.User{}, errCrossOrigin
	}
	ctx, password := c.Request.Context(), c.PostForm("password")
	if password != c.PostForm("again") {
		return models.User{}, models.Errorf(models.Invalid, "the two passwords are not the same").WithField("again")
	}
	if purpose == models.OneTimePassword {
		return p.Platform.UsePasswordLink(ctx, c.Param("token"), password, c.ClientIP())
	}
	return p.Platform.Setup(ctx, platform.SetupChoice{
		Token: c.Param("token"), Name: c.PostForm("name"), Email: c.PostForm("email"), Password: password, Address: c.ClientIP(),
	})
}

func (p *pages) refused(c *gin.Context, shown page, err error) {
	problem := p.problem(c.Request.Context(), err)
	shown.Problem = &problem.Problem
	for name, values := range problem.GetHeaders() {
		c.Header(name, values[0])
	}
	p.write(c, problem.Status, shown)
}

func (p *pages) write(c *gin.Context, status int, shown page) {
	shown.Style = template.CSS(pageCSS) //nolint:gosec // it is ours
	for name, value := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": p.policy, "Cache-Control": "no-store",
		"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		c.Header(name, value)
	}
	c.Status(status)
	if err := p.template.Execute(c.Writer, shown); err != nil {
		p.Log.Debug("page", "error", err)
	}
}
