package github

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// How long the tokens of a GitHub App's users last, where they expire.
const (
	userTokenLife = 8 * time.Hour
	refreshLife   = 15897600 * time.Second
)

// accessToken answers the exchange of a code for a token.
func (h *Host) accessToken(w http.ResponseWriter, r *http.Request) {
	asked, err := exchangeForm(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	result := h.exchange(asked)
	h.mu.Unlock()
	if strings.Contains(r.Header.Get("Accept"), "json") {
		body := object{}
		for name := range result {
			body[name] = result.Get(name)
			if seconds, err := strconv.Atoi(result.Get(name)); err == nil && strings.HasSuffix(name, "expires_in") {
				body[name] = seconds
			}
		}
		writeJSON(w, http.StatusOK, body)
		return
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	_, _ = w.Write([]byte(result.Encode()))
}

func exchangeForm(r *http.Request) (url.Values, error) {
	if !strings.Contains(r.Header.Get("Content-Type"), "json") {
		err := r.ParseForm()
		form := r.PostForm
		if id, secret, basic := r.BasicAuth(); basic && err == nil && form.Get("client_id") == "" {
			form.Set("client_id", id)
			form.Set("client_secret", secret)
		}
		return form, err
	}
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, errors.New("problems parsing JSON")
	}
	form := url.Values{}
	for name, value := range body {
		form.Set(name, value)
	}
	return form, nil
}

// exchange takes a code, which is then used up. mu is held.
func (h *Host) exchange(asked url.Values) url.Values {
	client := h.client(asked.Get("client_id"))
	if client == nil || subtle.ConstantTimeCompare([]byte(client.secret), []byte(asked.Get("client_secret"))) != 1 {
		return oauthError("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	}
	if asked.Get("grant_type") == "refresh_token" {
		return h.renew(client, asked.Get("refresh_token"))
	}
	given := h.codes[asked.Get("code")]
	if given == nil || given.client != client || !h.now().Before(given.expires) {
		return oauthError("bad_verification_code", "The code passed is incorrect or expired.")
	}
	if redirect := asked.Get("redirect_uri"); redirect != "" && redirect != given.redirect {
		return oauthError("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	}
	delete(h.codes, asked.Get("code"))
	sum := sha256.Sum256([]byte(asked.Get("code_verifier")))
	if given.challenge != "" && given.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return oauthError("bad_verification_code", "The code passed is incorrect or expired.")
	}
	return h.grant(token{user: given.user, client: client, scopes: given.scopes})
}

// grant gives out a user's token, with a refresh token where the app's expire.
func (h *Host) grant(t token) url.Values {
	prefix, expiring := "gho_", false
	if t.client.app != nil {
		prefix, expiring = "ghu_", t.client.app.expiring
	}
	if expiring {
		t.expires = h.now().Add(userTokenLife)
	}
	given := h.issue(prefix, t)
	result := url.Values{"access_token": {given.value}, "token_type": {"bearer"}, "scope": {strings.Join(t.scopes, ",")}}
	if expiring {
		refresh := "ghr_" + strings.ReplaceAll(uuid.NewString()+uuid.NewString(), "-", "")
		h.renewals[refresh] = given
		result.Set("refresh_token", refresh)
		result.Set("expires_in", strconv.Itoa(int(userTokenLife.Seconds())))
		result.Set("refresh_token_expires_in", strconv.Itoa(int(refreshLife.Seconds())))
	}
	return result
}

// renew takes a refresh token, which is then used up with the token it renews.
func (h *Host) renew(client *client, refresh string) url.Values {
	former := h.renewals[refresh]
	if former == nil || former.client != client || former.revoked || h.now().After(former.expires.Add(refreshLife-userTokenLife)) {
		return oauthError("bad_refresh_token", "The refresh token passed is incorrect or expired.")
	}
	delete(h.renewals, refresh)
	delete(h.tokens, former.value)
	return h.grant(token{user: former.user, client: client, scopes: former.scopes})
}

func oauthError(name, description string) url.Values {
	return url.Values{
		"error": {name}, "error_description": {description},
		"error_uri": {"https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/"},
	}
}
