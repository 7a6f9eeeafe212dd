package admin

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// statusFor is how old a status may be.
const statusFor = sampleEvery - sampleEvery/10

func (h *Handler) serveStatus(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	snap := *h.sampler.current(statusFor, true)
	snap.Connections, snap.Matching = q.choose(snap.Connections)
	writeJSON(w, http.StatusOK, snap)
}

// features tells the page what it may offer.
type features struct {
	Drain   bool   `json:"drain"`
	Reload  bool   `json:"reload"`
	Pprof   bool   `json:"pprof"`
	Metrics string `json:"metrics,omitempty"` // the path
}

func (h *Handler) serveFeatures(w http.ResponseWriter, _ *http.Request) {
	f := features{Drain: h.opts.Drain != nil, Reload: h.opts.Reload != nil, Pprof: h.opts.Pprof}
	if h.opts.Metrics != nil {
		f.Metrics = h.metricsPath()
	}
	writeJSON(w, http.StatusOK, f)
}

// failure is the JSON of an error.
type failure struct {
	Error string `json:"error"`
}

// historyDoc is the JSON of the plots.
type historyDoc struct {
	Now    int64   `json:"now"` // the server's clock, in milliseconds since 1970
	Points []point `json:"points"`
}

func (h *Handler) serveHistory(w http.ResponseWriter, r *http.Request) {
	since := int64(0)
	if v := r.URL.Query().Get("since"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, failure{"since is no number"})
			return
		}
		since = n
	}
	h.sampler.current(statusFor, true)
	points := h.sampler.since(since)
	if points == nil {
		points = []point{}
	}
	writeJSON(w, http.StatusOK, historyDoc{time.Now().UnixMilli(), points})
}

// maxBody bounds the body of a request for a change.
const maxBody = 64 << 10

var crossOrigin = http.NewCrossOriginProtection()

// fromPage says whether a request for a change comes from the page itself, or
// from something that is no browser; if not it answers it. A foreign page cannot
// send JSON without asking first, and nobody says yes to it.
func fromPage(w http.ResponseWriter, r *http.Request) bool {
	if err := crossOrigin.Check(r); err != nil {
		writeJSON(w, http.StatusForbidden, failure{"changes have to come from this page: " + err.Error()})
		return false
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeJSON(w, http.StatusUnsupportedMediaType, failure{"the body has to be application/json"})
		return false
	}
	return true
}

func (h *Handler) serveDrain(w http.ResponseWriter, r *http.Request) {
	if !fromPage(w, r) {
		return
	}
	if h.opts.Drain == nil {
		writeJSON(w, http.StatusNotFound, failure{"backends cannot be drained here"})
		return
	}
	var order struct {
		Pool    string `json:"pool"`
		Backend string `json:"backend"`
		Drain   *bool  `json:"drain"`
	}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields()
	err := body.Decode(&order)
	if err == nil && (order.Pool == "" || order.Backend == "" || order.Drain == nil) {
		err = errors.New("pool, backend and drain are needed")
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	if err := h.opts.Drain(order.Pool, order.Backend, *order.Drain); err != nil {
		writeJSON(w, http.StatusNotFound, failure{err.Error()})
		return
	}
	h.sampler.forget()
	w.WriteHeader(http.StatusNoContent)
}

func (h *Handler) serveReload(w http.ResponseWriter, r *http.Request) {
	if !fromPage(w, r) {
		return
	}
	if h.opts.Reload == nil {
		writeJSON(w, http.StatusNotFound, failure{"the configuration cannot be loaded again here"})
		return
	}
	if err := h.opts.Reload(r.Context()); err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, failure{err.Error()})
		return
	}
	h.sampler.forget()
	w.WriteHeader(http.StatusNoContent)
}
