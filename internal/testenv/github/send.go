package github

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// patience is how long GitHub waits for a receiver.
const patience = 10 * time.Second

// dispatch sends a delivery after those its hook had before. mu is held.
func (h *Host) dispatch(d *Delivery) {
	if h.life.Err() != nil {
		return
	}
	d.State = Sending
	before, done := h.tails[d.HookID], make(chan struct{})
	h.tails[d.HookID] = done
	target := d.hook.Hook
	header, body := d.hook.wrap(d)
	d.Header, d.URL = header, target.URL
	h.inFlight++
	h.sending.Add(1)
	go func() {
		defer h.sending.Done()
		defer close(done)
		if before != nil {
			<-before
		}
		h.attempt(d, target, header, body)
	}()
}

// wrap makes the request's header and body, signed.
func (w *hook) wrap(d *Delivery) (http.Header, []byte) {
	body, kind := d.Payload, "application/json"
	if w.ContentType == "form" {
		body, kind = []byte(url.Values{"payload": {string(d.Payload)}}.Encode()), "application/x-www-form-urlencoded"
	}
	header := http.Header{}
	set := func(name, value string) { header.Set(name, value) }
	set("Accept", "*/*")
	set("Content-Type", kind)
	set("User-Agent", "GitHub-Hookshot/0123abc")
	set("X-GitHub-Event", d.Event)
	set("X-GitHub-Delivery", d.GUID)
	set("X-GitHub-Hook-ID", strconv.FormatInt(w.ID, 10))
	set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(w.target, 10))
	set("X-GitHub-Hook-Installation-Target-Type", w.kind)
	if w.Secret != "" {
		set("X-Hub-Signature", "sha1="+sign(sha1.New, w.Secret, body))
		set("X-Hub-Signature-256", "sha256="+sign(sha256.New, w.Secret, body))
	}
	return header, body
}

func sign(algorithm func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// attempt sends a delivery's copies at once and notes what came back.
func (h *Host) attempt(d *Delivery, target Hook, header http.Header, body []byte) {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: target.InsecureSSL}}
	client := &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	statuses, problems := make([]int, d.copies), make([]error, d.copies)
	var copies sync.WaitGroup
	for i := range d.copies {
		copies.Go(func() { statuses[i], problems[i] = h.post(client, target.URL, header, body) })
	}
	copies.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	d.State = Answered
	for i, err := range problems {
		if err != nil {
			d.State, d.Error = Failed, err.Error()
			continue
		}
		d.Statuses = append(d.Statuses, statuses[i])
		d.hook.LastCode = statuses[i]
	}
	h.inFlight--
	h.broadcast()
}

func (h *Host) post(client *http.Client, to string, header http.Header, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(h.life, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header = header.Clone()
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
