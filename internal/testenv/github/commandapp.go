package github

import (
	"fmt"
	"os"
)

// appWords are those of GitHub Apps.
func (h *Host) appWords() []word {
	return []word{
		{"app", "SLUG OWNER CALLBACK KEYFILE [WEBHOOK SECRET]", 4, h.appWord},
		{"install", "APP LOGIN [REPO...]", 2, func(a []string) (string, error) {
			for _, app := range h.Apps() {
				if app.Slug == a[0] {
					id, err := h.Install(app.ID, a[1], a[2:]...)
					return line(fmt.Sprint(id), err)
				}
			}
			return "", fmt.Errorf("the stand-in has no app %s", a[0])
		}},
		{"suspend", "INSTALLATION", 1, counted(func(id int, _ []string) error { return h.SuspendInstallation(int64(id)) })},
		{"unsuspend", "INSTALLATION", 1, counted(func(id int, _ []string) error { return h.UnsuspendInstallation(int64(id)) })},
		{"uninstall", "INSTALLATION", 1, counted(func(id int, _ []string) error { return h.DeleteInstallation(int64(id)) })},
	}
}

// appWord registers an app, keeps its key in a file, and prints its id, client id
// and client secret.
func (h *Host) appWord(a []string) (string, error) {
	options := AppOptions{Slug: a[0], Owner: a[1], Callback: a[2]}
	if len(a) > 5 {
		options.WebhookURL, options.Secret = a[4], a[5]
	}
	app, err := h.AddApp(options)
	if err != nil {
		return "", err
	}
	return line(fmt.Sprintf("%d %s %s", app.ID, app.ClientID, app.ClientSecret), os.WriteFile(a[3], app.PrivateKey, 0o600))
}

// Apps returns the registered GitHub Apps.
func (h *Host) Apps() []App {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []App
	for _, a := range h.apps {
		found = append(found, a.App)
	}
	return found
}
