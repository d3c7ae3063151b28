package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// maxActionBody is the most bytes of an operators' request.
const maxActionBody = 4 << 10

// failoverRequest is the body of POST /v1/pair/failover.
type failoverRequest struct {
	Kind          string `json:"kind"` // manual or force
	AllowDataLoss bool   `json:"allow_data_loss"`
}

// action makes the handler of an operators' verb: 200 with the pair's new state
// when it is as asked for, 409 failover-refused, 400, 415.
func (a *admin) action(name string, do func(ctx context.Context, body []byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := actionBody(w, r)
		if err == nil {
			err = a.gate.stillOperates(r)
		}
		if err != nil {
			a.report.fail(w, r, err, false)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
		defer cancel()
		extendWriteDeadline(w, a.timeout+2*deadlineMargin)
		start := time.Now()
		if err := do(ctx, body); err != nil {
			a.log.Warn("operator's verb not carried out", "verb", name, "by", nameOf(callerOf(r)), "error", err, "duration", time.Since(start))
			a.report.fail(w, r, err, true)
			return
		}
		a.log.Info("operator's verb carried out", "verb", name, "by", nameOf(callerOf(r)), "duration", time.Since(start))
		answerJSON(w, http.StatusOK, a.pair.Status())
	}
}

// actionBody wants JSON: a type that no browser sends to another site unasked.
func actionBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, &problemError{kindMediaType, "Content-Type must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, bodyOf(r), maxActionBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &session.TooLargeError{Limit: maxActionBody}
	}
	if err != nil {
		return nil, badBody(err)
	}
	return body, nil
}

func (a *admin) failover(ctx context.Context, body []byte) error {
	var req failoverRequest
	if err := decodeAction(body, &req); err != nil {
		return err
	}
	switch {
	case req.Kind == "manual" && req.AllowDataLoss:
		return badInput("member allow_data_loss", "has no meaning for a manual failover, which loses nothing")
	case req.Kind == "manual":
		return a.pair.Failover(ctx)
	case req.Kind == "force":
		return a.pair.ForceService(ctx, req.AllowDataLoss)
	}
	return badInput("member kind", "must be manual or force")
}

func (a *admin) suspend(ctx context.Context, body []byte) error {
	if err := decodeAction(body, &struct{}{}); err != nil {
		return err
	}
	return a.pair.Suspend(ctx)
}

func (a *admin) resume(ctx context.Context, body []byte) error {
	if err := decodeAction(body, &struct{}{}); err != nil {
		return err
	}
	return a.pair.Resume(ctx)
}

func (a *admin) sweep(ctx context.Context, body []byte) error {
	if err := decodeAction(body, &struct{}{}); err != nil {
		return err
	}
	return a.pair.Sweep(ctx)
}

// decodeAction reads one JSON object and nothing else. Nothing at all is an empty
// object: what is required is missed by who requires it.
func decodeAction(body []byte, v any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, new(map[string]json.RawMessage)); err != nil {
		return badInput("the body", "is not one JSON object: "+err.Error())
	}
	return decodeStrictly(body, v)
}

// decodeStrictly refuses members it does not know: a misspelt one must not pass
// for its default.
func decodeStrictly(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badInput("the body", "is not as it should be: "+err.Error())
	}
	return nil
}
