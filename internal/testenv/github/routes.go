package github

import (
	"io"
	"net/http"
)

// roles, from least to most.
const (
	roleNone = iota
	rolePull
	rolePush
	roleAdmin
)

// need is what a request must show to be answered.
type need struct {
	by         who
	role       int      // on the repository of the path; roleNone is no repository
	permission string   // an installation's, as "contents:read"
	scopes     []string // an OAuth token's, one of them; none is any
}

// who is the kind of credential.
type who int

const (
	byToken who = iota
	byAnyone
	byApp
	byClient
)

type route struct {
	pattern string
	need    need
	serve   func(*call) answer
}

// routes fills the mux: the web, the API and the git door.
func (h *Host) routes() {
	h.mux = http.NewServeMux()
	h.mux.HandleFunc("GET /login/oauth/authorize", h.authorize)
	h.mux.HandleFunc("POST /login/oauth/access_token", h.accessToken)
	h.mux.HandleFunc("POST "+controlPath, h.control)
	h.mux.HandleFunc("/{owner}/{repo}/info/refs", h.gitDoor)
	h.mux.HandleFunc("/{owner}/{repo}/git-upload-pack", h.gitDoor)
	h.mux.HandleFunc("/{owner}/{repo}/git-receive-pack", h.gitDoor)
	for _, group := range [][]route{h.accountRoutes(), h.repositoryRoutes(), h.hookRoutes(), h.writeRoutes(), h.pullRoutes()} {
		for _, r := range group {
			h.mux.Handle(r.pattern, h.rest(r))
		}
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound().write(w) })
}

func (h *Host) accountRoutes() []route {
	any, app, client := need{}, need{by: byApp}, need{by: byClient}
	return []route{
		{"GET /api/v3/user", any, h.getUser},
		{"GET /api/v3/user/repos", any, h.listUserRepositories},
		{"GET /api/v3/search/repositories", any, h.searchRepositories},
		{"GET /api/v3/user/installations", any, h.listInstallations},
		{"GET /api/v3/user/installations/{id}/repositories", any, h.listUserInstallationRepositories},
		{"GET /api/v3/installation/repositories", any, h.listInstallationRepositories},
		{"GET /api/v3/rate_limit", need{by: byAnyone}, h.getRateLimit},
		{"GET /api/v3/app", app, h.getApp},
		{"GET /api/v3/app/installations/{id}", app, h.getInstallation},
		{"GET /api/v3/repos/{owner}/{repo}/installation", app, h.getRepositoryInstallation},
		{"POST /api/v3/app/installations/{id}/access_tokens", app, h.createInstallationToken},
		{"DELETE /api/v3/applications/{client}/grant", client, h.deleteGrant},
		{"DELETE /api/v3/applications/{client}/token", client, h.deleteToken},
	}
}

func (h *Host) repositoryRoutes() []route {
	see := need{by: byAnyone, role: rolePull, permission: "metadata:read"}
	contents := need{by: byAnyone, role: rolePull, permission: "contents:read"}
	return []route{
		{"GET /api/v3/repos/{owner}/{repo}", see, h.getRepository},
		{"GET /api/v3/repositories/{repository}", see, h.getRepository},
		{"GET /api/v3/repos/{owner}/{repo}/branches", contents, h.listBranches},
		{"GET /api/v3/repos/{owner}/{repo}/branches/{branch...}", contents, h.getBranch},
		{"GET /api/v3/repos/{owner}/{repo}/git/matching-refs/{ref...}", contents, h.matchingRefs},
		{"GET /api/v3/repos/{owner}/{repo}/commits/{ref}", contents, h.getCommit},
	}
}

func (h *Host) hookRoutes() []route {
	read := need{role: roleAdmin, permission: "repository_hooks:read", scopes: []string{"repo", "read:repo_hook", "write:repo_hook", "admin:repo_hook"}}
	write := need{role: roleAdmin, permission: "repository_hooks:write", scopes: []string{"repo", "write:repo_hook", "admin:repo_hook"}}
	remove := need{role: roleAdmin, permission: "repository_hooks:write", scopes: []string{"repo", "admin:repo_hook"}}
	return []route{
		{"GET /api/v3/repos/{owner}/{repo}/hooks", read, h.listHooks},
		{"POST /api/v3/repos/{owner}/{repo}/hooks", write, h.createHook},
		{"GET /api/v3/repos/{owner}/{repo}/hooks/{id}", read, h.getHook},
		{"PATCH /api/v3/repos/{owner}/{repo}/hooks/{id}", write, h.editHook},
		{"DELETE /api/v3/repos/{owner}/{repo}/hooks/{id}", remove, h.deleteHook},
		{"POST /api/v3/repos/{owner}/{repo}/hooks/{id}/pings", read, h.pingHook},
	}
}

func (h *Host) writeRoutes() []route {
	status := need{role: rolePush, permission: "statuses:write", scopes: []string{"repo", "public_repo", "repo:status"}}
	statuses := need{by: byAnyone, role: rolePull, permission: "statuses:read"}
	deploy := need{role: rolePush, permission: "deployments:write", scopes: []string{"repo", "public_repo", "repo_deployment"}}
	deployments := need{by: byAnyone, role: rolePull, permission: "deployments:read"}
	return []route{
		{"POST /api/v3/repos/{owner}/{repo}/statuses/{sha}", status, h.createStatus},
		{"GET /api/v3/repos/{owner}/{repo}/commits/{ref}/statuses", statuses, h.listStatuses},
		{"POST /api/v3/repos/{owner}/{repo}/deployments", deploy, h.createDeployment},
		{"GET /api/v3/repos/{owner}/{repo}/deployments", deployments, h.listDeployments},
		{"DELETE /api/v3/repos/{owner}/{repo}/deployments/{id}", deploy, h.deleteDeployment},
		{"POST /api/v3/repos/{owner}/{repo}/deployments/{id}/statuses", deploy, h.createDeploymentStatus},
		{"GET /api/v3/repos/{owner}/{repo}/deployments/{id}/statuses", deployments, h.listDeploymentStatuses},
	}
}

func (h *Host) pullRoutes() []route {
	read := need{by: byAnyone, role: rolePull, permission: "pull_requests:read"}
	write := need{role: rolePull, permission: "pull_requests:write", scopes: []string{"repo", "public_repo"}}
	return []route{
		{"GET /api/v3/repos/{owner}/{repo}/pulls", read, h.listPulls},
		{"GET /api/v3/repos/{owner}/{repo}/pulls/{number}", read, h.getPull},
		{"GET /api/v3/repos/{owner}/{repo}/issues/{number}/{id}", read, h.getComments},
		{"POST /api/v3/repos/{owner}/{repo}/issues/{number}/comments", write, h.createComment},
		{"PATCH /api/v3/repos/{owner}/{repo}/issues/comments/{id}", write, h.editComment},
		{"DELETE /api/v3/repos/{owner}/{repo}/issues/comments/{id}", write, h.deleteComment},
	}
}

// rest answers a route's requests, one at a time.
func (h *Host) rest(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body) // serve has read it already
		c := &call{Request: request, body: body}
		h.mu.Lock()
		result := h.admit(c, r.need)
		if result == nil {
			served := r.serve(c)
			result = &served
		}
		h.describe(w.Header(), c)
		h.mu.Unlock()
		result.write(w)
	})
}
