package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Headers are looked up by their canonical keys (Session-Id for Session-ID): canonicalizing them would cost time on
// every request.

// oneHeader returns the value of a header that may be given once. ok is false if the header is missing.
func oneHeader(values []string, name string) (value string, ok bool, err error) {
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, badInput("header "+name, "is given more than once")
}

// requiredHeader returns the value of a header that must be given once. key is its canonical name.
func requiredHeader(h http.Header, key, name string) (string, error) {
	value, ok, err := oneHeader(h[key], name)
	if err == nil && !ok {
		err = badInput("header "+name, "is missing")
	}
	return value, err
}

// maxStrayBody is the largest body, in bytes, of a request that needs no body. Some clients send {} with every POST.
const maxStrayBody = 1 << 10

// withoutBody reads and discards the body of a request that needs none. A body above maxStrayBody is refused. An unread
// body would delay the answer, and in HTTP/2 the items of the connection's other requests.
func withoutBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength <= maxStrayBody { // negative: not announced
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) // a test's recorder has no deadlines
		_, read := io.CopyN(io.Discard, bodyOf(r), maxStrayBody+1)
		if read == io.EOF {
			r.Body = http.NoBody
			return nil
		}
		if read != nil {
			return badBody(read)
		}
	}
	if r.ProtoMajor == 1 {
		turnAway(w)
	}
	return badInput("the body", fmt.Sprintf("has more than %d bytes, and %s of this path takes no body: send none", maxStrayBody, r.Method))
}

// parseTimeout reads Session-Timeout: whole minutes, or seconds such as 90s. It returns zeros if the header is missing.
// seconds is 0 unless the timeout is given in seconds; minutes is then rounded up.
func parseTimeout(values []string) (minutes, seconds int, err error) {
	value, ok, err := oneHeader(values, "Session-Timeout")
	if err != nil || !ok {
		return 0, 0, err
	}
	digits, inSeconds := strings.CutSuffix(value, "s")
	n, err := strconv.ParseUint(digits, 10, 31)
	if inSeconds {
		seconds = int(n)
	} else {
		minutes = int(n)
	}
	if err != nil || n == 0 || session.CheckTimeout(minutes, seconds) != nil {
		return 0, 0, badInput("header Session-Timeout", fmt.Sprintf("must be whole minutes between %d and %d, or seconds between 1s and %ds",
			session.MinTimeout, session.MaxTimeout, session.MaxTimeout*60))
	}
	minutes, seconds = session.SplitTimeout(minutes, seconds)
	return minutes, seconds, nil
}

// parseWait reads ?wait=: whole seconds, or a Go duration.
func parseWait(value string, longest time.Duration) (time.Duration, error) {
	wait, err := time.ParseDuration(value)
	if seconds, e := strconv.ParseUint(value, 10, 31); e == nil {
		wait, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || wait < 0 || wait > longest || strings.HasPrefix(value, "+") {
		return 0, badInput("parameter wait", fmt.Sprintf("must be seconds or a duration such as 1.5s, between 0 and %.0f s", longest.Seconds()))
	}
	return wait, nil
}

// precondition is what a PUT requires of the session. The zero value requires nothing.
type precondition struct {
	onlyCreate bool   // If-None-Match: *
	mustExist  bool   // If-Match: *, which session.Condition cannot express
	tag        string // the tag of If-Match, without quotation marks; empty: no tag
}

// condition reads the preconditions of a PUT.
func condition(h http.Header) (precondition, error) {
	match, none := h["If-Match"], h["If-None-Match"]
	switch {
	case match == nil && none == nil:
		return precondition{}, nil
	case match != nil && none != nil:
		return precondition{}, badInput("headers If-Match and If-None-Match", "cannot be combined")
	case none != nil:
		if len(none) != 1 || strings.TrimSpace(none[0]) != "*" {
			return precondition{}, badInput("header If-None-Match", "must be * with PUT: store only if there is no such session")
		}
		return precondition{onlyCreate: true}, nil
	}
	value, _, err := oneHeader(match, "If-Match")
	if err != nil {
		return precondition{}, err
	}
	if value = strings.TrimSpace(value); value == "*" {
		return precondition{mustExist: true}, nil
	}
	tag, weak, rest, ok := cutTag(value)
	switch {
	case !ok || rest != "":
		return precondition{}, badInput("header If-Match", `must be one entity tag in quotation marks, or *`)
	case weak: // If-Match compares strongly, RFC 9110
		return precondition{}, &problemError{kindPrecondition, "If-Match has a weak tag (W/…), which does not identify a version; nothing was written. " + weakened}
	case tag == "": // no session has this tag
		return precondition{}, session.ErrPrecondition
	}
	return precondition{tag: tag}, nil
}

// weakened is the advice to a client whose tag was changed on its way.
const weakened = "A proxy that compresses answers changes their ETag: turn its compression off for this API, or send the tag as the server sent it, without W/ or a suffix such as -gzip"

// suffixed reports whether a tag has a suffix that servers and proxies add when they compress an answer.
func suffixed(tag string) bool {
	for _, suffix := range []string{"-gzip", ";gzip", "-br", "-deflate", "-zstd"} {
		if strings.HasSuffix(tag, suffix) {
			return true
		}
	}
	return false
}

// noneMatch reports whether If-None-Match names the tag, which is given without quotation marks: the caller has this
// version already. The comparison is weak (RFC 9110).
func noneMatch(values []string, tag string) (bool, error) {
	found := false
	for _, value := range values {
		rest := strings.TrimSpace(value)
		if rest == "*" {
			return true, nil
		}
		for rest != "" {
			one, _, after, ok := cutTag(rest)
			if !ok {
				return false, badInput("header If-None-Match", "must be entity tags in quotation marks, or *")
			}
			found = found || tag != "" && one == tag
			rest = after
		}
	}
	return found, nil
}

// cutTag takes the first entity tag off a list, with the comma and the blanks after it.
func cutTag(list string) (tag string, weak bool, rest string, ok bool) {
	list, weak = strings.CutPrefix(list, "W/")
	list, ok = strings.CutPrefix(list, `"`)
	if !ok {
		return "", false, "", false
	}
	tag, rest, ok = strings.Cut(list, `"`)
	if !ok {
		return "", false, "", false
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest == "" {
		return tag, weak, "", true
	}
	rest, ok = strings.CutPrefix(rest, ",")
	return tag, weak, strings.TrimLeft(rest, ", \t"), ok
}
