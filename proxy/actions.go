package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// maxActionBody is the most bytes the body of an operators' request may have.
const maxActionBody = 4 << 10

// failoverRequest is the body of POST /v1/pair/failover.
type failoverRequest struct {
	Kind          string `json:"kind"` // manual or force
	AllowDataLoss bool   `json:"allow_data_loss"`
}

// action returns the handler of an operators' verb: 200 with the pair's new state when the verb has been carried out,
// or 409 failover-refused, 400, 415.
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
			a.log.Warn("operator's verb failed", "verb", name, "by", nameOf(callerOf(r)), "error", err, "duration", time.Since(start))
			a.report.fail(w, r, err, true)
			return
		}
		a.log.Info("operator's verb carried out", "verb", name, "by", nameOf(callerOf(r)), "duration", time.Since(start))
		answerJSON(w, http.StatusOK, a.pair.Status())
	}
}

// actionBody reads the body. Its type must be JSON: a browser sends JSON to another site only if that site allowed it
// before.
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
		return badInput("member allow_data_loss", "does not apply to a manual failover, which loses no data")
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

// decodeAction decodes one JSON object. An empty body counts as an empty object. The caller must check the members that
// it requires.
func decodeAction(body []byte, v any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, new(map[string]json.RawMessage)); err != nil {
		return badInput("the body", "must be one JSON object: "+err.Error())
	}
	return decodeStrictly(body, v)
}

// decodeStrictly refuses unknown members: a misspelt member must not be taken for a missing one.
func decodeStrictly(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badInput("the body", "is not valid: "+err.Error())
	}
	return nil
}

// acceptRequest is the body of POST /v1/pair/accept.
type acceptRequest struct {
	Partner string `json:"partner"`
	Reason  string `json:"reason"`
}

// maxReason is the longest reason that an operator may give, in bytes.
const maxReason = 500

// accept answers POST /v1/pair/accept.
func (a *admin) accept(ctx context.Context, body []byte) error {
	var req acceptRequest
	if err := decodeAction(body, &req); err != nil {
		return err
	}
	if err := oneOf("member partner", req.Partner, []string{"a", "b"}); err != nil {
		return err
	}
	reason := strings.TrimSpace(req.Reason)
	if reason == "" {
		return badInput("member reason", "is missing: say why this partner is chosen; the reason is logged")
	}
	if len(reason) > maxReason {
		return &session.InvalidError{What: "member reason", Reason: "is longer than 500 bytes"}
	}
	return a.pair.Accept(ctx, req.Partner, reason)
}

// oneOf returns an error that names the allowed values unless value is one of them.
func oneOf(what, value string, allowed []string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return badInput(what, "must be one of "+strings.Join(allowed, ", "))
}
