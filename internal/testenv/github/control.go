package github

import (
	"encoding/json"
	"net/http"
)

// controlPath takes acts over HTTP: the words of Command as a JSON array. It
// answers what Command prints, or its error with 400.
const controlPath = "/_standin/command"

func (h *Host) control(w http.ResponseWriter, r *http.Request) {
	var args []string
	if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	output, err := h.Command(args)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write([]byte(output)) // a client that went away is no fault of ours
}
