package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Deployment is one that was written back.
type Deployment struct {
	ID                          int64
	SHA, Ref, Task, Environment string
	Description, Creator        string
	Transient, Production       bool
	Payload                     string // JSON
	Statuses                    []DeploymentStatus

	creator *account
	at      time.Time
}

// DeploymentStatus is one of a deployment's, oldest first.
type DeploymentStatus struct {
	ID                                                      int64
	State, Description, Environment, EnvironmentURL, LogURL string

	creator *account
	at      time.Time
}

// State is the newest status's, "pending" before there is one.
func (d *Deployment) State() string {
	if len(d.Statuses) == 0 {
		return "pending"
	}
	return d.Statuses[len(d.Statuses)-1].State
}

// Deployments returns a repository's deployments, oldest first.
func (h *Host) Deployments(full string) []Deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Deployment
	if r := h.repository(full); r != nil {
		for _, d := range r.deployments {
			copied := *d
			copied.Statuses = slices.Clone(d.Statuses)
			found = append(found, copied)
		}
	}
	return found
}

type deploymentRequest struct {
	Ref         string          `json:"ref"`
	Task        string          `json:"task"`
	AutoMerge   *bool           `json:"auto_merge"`
	Contexts    *[]string       `json:"required_contexts"`
	Payload     json.RawMessage `json:"payload"`
	Environment string          `json:"environment"`
	Description string          `json:"description"`
	Transient   bool            `json:"transient_environment"`
	Production  *bool           `json:"production_environment"`
}

// createDeployment answers POST /repos/{owner}/{repo}/deployments. As GitHub, it
// refuses a commit whose statuses are not all green, or that lacks the default
// branch's commits, unless the request waives these.
func (h *Host) createDeployment(c *call) answer {
	asked := deploymentRequest{Task: "deploy", Environment: "production", Payload: json.RawMessage(`{}`)}
	if refused := c.read(&asked); refused != nil {
		return *refused
	}
	sha := h.git.resolve(c.repo.dir, asked.Ref)
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No ref found for: "+asked.Ref)
	}
	trunk := h.git.resolve(c.repo.dir, c.repo.branch)
	switch {
	case (asked.AutoMerge == nil || *asked.AutoMerge) && trunk != "" && !h.git.contains(c.repo.dir, trunk, sha, nil):
		return fail(http.StatusConflict, fmt.Sprintf("Conflict merging %s into %s.", c.repo.branch, asked.Ref))
	case asked.Contexts == nil && !c.repo.green(sha):
		return fail(http.StatusConflict, "Conflict: Commit status checks failed for "+asked.Ref+".")
	}
	made := &Deployment{
		ID: h.id(), SHA: sha, Ref: asked.Ref, Task: asked.Task, Environment: asked.Environment, Description: asked.Description,
		Transient: asked.Transient, Production: asked.Environment == "production", Payload: string(asked.Payload),
		Creator: c.actor().Login, creator: c.actor(), at: h.now(),
	}
	if asked.Production != nil {
		made.Production = *asked.Production
	}
	c.repo.deployments = append(c.repo.deployments, made)
	shape := h.deploymentShape(c.repo, made)
	h.emit(c.repo, "deployment", c.actor(), object{"action": "created", "deployment": shape, "workflow": nil, "workflow_run": nil})
	return created(shape)
}

func (h *Host) deploymentShape(r *repository, d *Deployment) object {
	self := fmt.Sprintf("%s/deployments/%d", h.repoAPI(r), d.ID)
	return object{
		"url": self, "id": d.ID, "node_id": nodeID("Deployment", d.ID), "sha": d.SHA, "ref": d.Ref, "task": d.Task,
		"payload": json.RawMessage(d.Payload), "original_environment": d.Environment, "environment": d.Environment,
		"description": orNull(d.Description), "creator": h.userShape(d.creator), "created_at": d.at, "updated_at": d.at,
		"statuses_url": self + "/statuses", "repository_url": h.repoAPI(r),
		"transient_environment": d.Transient, "production_environment": d.Production,
	}
}

// listDeployments answers GET /repos/{owner}/{repo}/deployments, newest first.
func (h *Host) listDeployments(c *call) answer {
	query := c.URL.Query()
	fits := func(name, value string) bool { return query.Get(name) == "" || query.Get(name) == value }
	found := []object{}
	for _, d := range slices.Backward(c.repo.deployments) {
		if fits("sha", d.SHA) && fits("ref", d.Ref) && fits("task", d.Task) && fits("environment", d.Environment) {
			found = append(found, h.deploymentShape(c.repo, d))
		}
	}
	return c.list(found)
}

func (c *call) deployment() *Deployment {
	for _, d := range c.repo.deployments {
		if d.ID == c.number("id") {
			return d
		}
	}
	return nil
}

// deleteDeployment answers DELETE /repos/{owner}/{repo}/deployments/{id}.
func (h *Host) deleteDeployment(c *call) answer {
	d := c.deployment()
	switch {
	case d == nil:
		return notFound()
	case len(c.repo.deployments) > 1 && d.State() == "success":
		return fail(http.StatusUnprocessableEntity, "We cannot delete an active deployment unless it is the only deployment in a given repository.")
	}
	c.repo.deployments = slices.DeleteFunc(c.repo.deployments, func(other *Deployment) bool { return other == d })
	return gone()
}

// createDeploymentStatus answers POST on a deployment's statuses. A success makes
// the earlier deployments of a temporary environment inactive.
func (h *Host) createDeploymentStatus(c *call) answer {
	d := c.deployment()
	if d == nil {
		return notFound()
	}
	var asked struct {
		State          string `json:"state"`
		Description    string `json:"description"`
		LogURL         string `json:"log_url"`
		TargetURL      string `json:"target_url"`
		Environment    string `json:"environment"`
		EnvironmentURL string `json:"environment_url"`
		AutoInactive   *bool  `json:"auto_inactive"`
	}
	if refused := c.read(&asked); refused != nil {
		return *refused
	}
	if asked.LogURL == "" {
		asked.LogURL = asked.TargetURL
	}
	made := DeploymentStatus{
		ID: h.id(), State: asked.State, Description: asked.Description, LogURL: asked.LogURL,
		EnvironmentURL: asked.EnvironmentURL, creator: c.actor(), at: h.now(),
	}
	if refused := made.check(); refused != nil {
		return *refused
	}
	if asked.Environment != "" {
		d.Environment = asked.Environment
	}
	made.Environment = d.Environment
	d.Statuses = append(d.Statuses, made)
	if made.State == "success" && (asked.AutoInactive == nil || *asked.AutoInactive) {
		h.retire(c, d)
	}
	shape := h.deploymentStatusShape(c.repo, d, made)
	h.emit(c.repo, "deployment_status", c.actor(), object{
		"action": "created", "deployment_status": shape, "deployment": h.deploymentShape(c.repo, d),
	})
	return created(shape)
}

func (s *DeploymentStatus) check() *answer {
	states := []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
	switch {
	case !slices.Contains(states, s.State):
		return refuse(invalid("DeploymentStatus", "state", "custom", "state is not included in the list"))
	case len([]rune(s.Description)) > longest:
		return refuse(invalid("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)"))
	case s.LogURL != "" && !webAddress(s.LogURL):
		return refuse(invalid("DeploymentStatus", "log_url", "custom", "log_url must use http(s) scheme"))
	case s.EnvironmentURL != "" && !webAddress(s.EnvironmentURL):
		return refuse(invalid("DeploymentStatus", "environment_url", "custom", "environment_url must use http(s) scheme"))
	}
	return nil
}

// retire makes what a deployment replaces inactive.
func (h *Host) retire(c *call, by *Deployment) {
	for _, d := range c.repo.deployments {
		if d != by && d.Environment == by.Environment && !d.Transient && !d.Production && d.State() == "success" {
			d.Statuses = append(d.Statuses, DeploymentStatus{
				ID: h.id(), State: "inactive", Environment: d.Environment, creator: c.actor(), at: h.now(),
			})
		}
	}
}

func (h *Host) deploymentStatusShape(r *repository, d *Deployment, s DeploymentStatus) object {
	deployment := fmt.Sprintf("%s/deployments/%d", h.repoAPI(r), d.ID)
	return object{
		"url": fmt.Sprintf("%s/statuses/%d", deployment, s.ID), "id": s.ID, "node_id": nodeID("DeploymentStatus", s.ID),
		"state": s.State, "creator": h.userShape(s.creator), "description": s.Description, "environment": s.Environment,
		"target_url": s.LogURL, "log_url": s.LogURL, "environment_url": s.EnvironmentURL, "created_at": s.at, "updated_at": s.at,
		"deployment_url": deployment, "repository_url": h.repoAPI(r),
	}
}

// listDeploymentStatuses answers GET on a deployment's statuses, newest first.
func (h *Host) listDeploymentStatuses(c *call) answer {
	d := c.deployment()
	if d == nil {
		return notFound()
	}
	found := []object{}
	for _, s := range slices.Backward(d.Statuses) {
		found = append(found, h.deploymentStatusShape(c.repo, d, s))
	}
	return c.list(found)
}
