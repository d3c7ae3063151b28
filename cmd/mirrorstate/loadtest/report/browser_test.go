package report

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserTime bounds what the browser does.
const browserTime = 60 * time.Second

// browser starts Chromium without a window.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium found: the page is not tested")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true))
	ctx, cancel := context.WithTimeout(context.Background(), browserTime) // it ends after the test's own context
	t.Cleanup(cancel)
	ctx, free := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(free)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("the browser ended with %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// complaints collects the requests that the page makes, its exceptions and its console messages.
func complaints(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var list []string
	add := func(s string) { mu.Lock(); defer mu.Unlock(); list = append(list, s) }
	err := chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "file:") {
				add("asks for " + e.Request.URL)
			}
		case *runtime.EventExceptionThrown:
			add(e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			add("says " + string(e.Type))
		}
	})
	if _, on := chromedp.Call(ctx, network.Enable, network.EnableParams{}); on != nil || err != nil {
		t.Fatal(on, err)
	}
	return func() []string { mu.Lock(); defer mu.Unlock(); return list }
}

// The page is complete in a real browser: light and dark, wide and narrow, with one via and with
// two.
func TestReport_InABrowser(t *testing.T) {
	ctx := browser(t)
	heard := complaints(t, ctx)
	for name, compared := range map[string]bool{"one way": false, "two ways": true} {
		path := filepath.Join(t.TempDir(), "report.html")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := exampleReport(compared).WriteHTML(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for _, scheme := range []string{"light", "dark"} {
			t.Run(name+", "+scheme, func(t *testing.T) { checkPage(t, ctx, "file://"+path, scheme, compared) })
		}
	}
	for _, c := range heard() {
		t.Errorf("the page %s", c)
	}
}

// seenInPage is what the script finds in the page.
type seenInPage struct {
	Charts, Failovers, Rows int
	Back, Ink               string
	Overflow                float64 // by how much the page is wider than the window
	Clipped                 int     // labels that reach beyond their chart
	Text                    string
}

// pageScript returns a seenInPage.
const pageScript = `(() => {
  const clipped = [...document.querySelectorAll('svg text')].filter(text => {
    const a = text.getBoundingClientRect(), b = text.ownerSVGElement.getBoundingClientRect();
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  }).length;
  const style = getComputedStyle(document.body);
  return {Charts: document.querySelectorAll('svg').length, Failovers: document.querySelectorAll('line.failover').length,
    Rows: document.querySelectorAll('tr').length, Back: style.backgroundColor, Ink: style.color,
    Overflow: document.documentElement.scrollWidth - window.innerWidth, Clipped: clipped, Text: document.body.innerText};
})()`

func checkPage(t *testing.T, ctx context.Context, url, scheme string, compared bool) {
	prefers := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	for _, width := range []int64{1100, 420} {
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, prefers); err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url)); err != nil {
			t.Fatal(err)
		}
		p, err := chromedp.Run(ctx, chromedp.Evaluate[seenInPage](pageScript))
		if err != nil {
			t.Fatal(err)
		}
		charts, failovers := 3, 6
		if compared {
			charts, failovers = 6, 12
		}
		if p.Charts != charts || p.Failovers != failovers || p.Rows < 6 {
			t.Errorf("%d px wide: %d charts with %d failovers and %d rows, want %d with %d and 6 or more", width, p.Charts, p.Failovers, p.Rows, charts, failovers)
		}
		if p.Overflow > 0 || p.Clipped > 0 {
			t.Errorf("%d px wide: the page is %v px too wide, and %d labels are cut", width, p.Overflow, p.Clipped)
		}
		if light := p.Back == "rgb(255, 255, 255)"; light != (scheme == "light") || p.Back == p.Ink {
			t.Errorf("%s: %s on %s", scheme, p.Ink, p.Back)
		}
		for _, want := range []string{"2 failovers: nothing failed", "manual", "crash", "1000 ms", "writes acknowledged"} {
			if !strings.Contains(p.Text, want) {
				t.Errorf("the page does not contain %q", want)
			}
		}
	}
}
