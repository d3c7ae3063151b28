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

// Headers are looked up by their canonical keys (Session-Id for Session-ID),
// which saves canonicalizing them on every request.

// oneHeader is a header that may be there once. Missing and empty are told apart.
func oneHeader(values []string, name string) (value string, ok bool, err error) {
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, badInput("header "+name, "is there more than once")
}

// requiredHeader is a header that must be there once; key is its canonical form.
func requiredHeader(h http.Header, key, name string) (string, error) {
	value, ok, err := oneHeader(h[key], name)
	if err == nil && !ok {
		err = badInput("header "+name, "is missing")
	}
	return value, err
}

// maxStrayBody is how many bytes a request may have that needs none: some clients send {} with every POST.
const maxStrayBody = 1 << 10

// withoutBody reads the body of a request that needs none, if it is small, and refuses any other at once: left unread
// it would hold the answer back, or in HTTP/2 the items of the connection's other requests.
func withoutBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength <= maxStrayBody { // negative: not announced
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) // a recorder has none
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
	return badInput("the body", fmt.Sprintf("has more than %d bytes, and %s of this path takes none: send it without", maxStrayBody, r.Method))
}

// parseTimeout reads Session-Timeout: whole minutes, or seconds such as 90s; zeros if it is not there. Seconds
// are answered only where they were given; the minutes are then rounded up.
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

// parseWait reads ?wait=: whole seconds or a Go duration.
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

// precondition is what a PUT demands of the session. The zero value is nothing.
type precondition struct {
	onlyCreate bool   // If-None-Match: *
	mustExist  bool   // If-Match: *, which the store has no word for
	tag        string // of If-Match, without quotation marks; empty: none
}

// condition reads the preconditions of PUT.
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
		return precondition{}, &problemError{kindPrecondition, "If-Match has a weak tag (W/…), which names no version; nothing was written. " + weakened}
	case tag == "": // no session has it
		return precondition{}, session.ErrPrecondition
	}
	return precondition{tag: tag}, nil
}

// weakened tells whose tag is not as this server answered it what to do.
const weakened = "A proxy on the way that compresses answers changes their ETag: turn compression off there for this API, or send the tag as the server answered it, without W/ or a suffix such as -gzip"

// suffixed reports whether a tag has what servers and proxies add to the tag of an answer that they compress.
func suffixed(tag string) bool {
	for _, suffix := range []string{"-gzip", ";gzip", "-br", "-deflate", "-zstd"} {
		if strings.HasSuffix(tag, suffix) {
			return true
		}
	}
	return false
}

// noneMatch says whether If-None-Match names the tag, given without quotation marks: then
// the caller has this version already. Compared weakly, as RFC 9110 has it.
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

// cutTag takes the first entity tag off a list, and the comma and blanks after it.
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
