package admin

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/braid-mptcp/braid/proxy/status"
)

// browser is a tab of a real Chromium, with what its console said.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	console []string
}

// startBrowser starts Chromium. Where there is none the test is skipped, and
// says so.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("SKIPPED, the page is NOT tested: there is no Chromium here (Debian package chromium)")
	}
	// The flags keep Chromium from looking for hosts of its maker's.
	alloc, cancel := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(60*time.Second))
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	b.run() // starts it
	messages := chromedp.Console(ctx)
	go b.hear(messages)
	b.ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return b
}

// hear keeps what goes to the console: errors of scripts, of the page's policy,
// of files that did not load.
func (b *browser) hear(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return
		}
		b.mu.Lock()
		b.console = append(b.console, m.String())
		b.mu.Unlock()
	}
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("%v; console: %q", err, b.console)
	}
}

// open goes to a page, and says yes to whatever it asks.
func (b *browser) open(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url))
	b.do("window.confirm = () => true")
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector)))
}

// do evaluates an expression whose value does not matter.
func (b *browser) do(expression string) {
	b.t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](expression))
}

// js evaluates an expression.
func js[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits for an expression to become true.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if js[bool](b, expression) {
			return
		}
	}
	b.t.Fatalf("%s: %s did not become true; the page says:\n%s", what, expression, js[string](b, "document.body.innerText"))
}

// quiet fails the test if the console said anything.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.console {
		b.t.Errorf("console: %s", line)
	}
}

// screenshot writes a picture of the page into $BRAID_SCREENSHOTS, if that is
// set, after the page has done as the expression says.
func (b *browser) screenshot(name, scheme string, width, height int64, expression string) {
	b.t.Helper()
	dir := os.Getenv("BRAID_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.dress(scheme, width, height)
	b.do(expression)
	b.run(chromedp.Sleep(1200 * time.Millisecond))
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// dress sets the window's size and the colours of the system.
func (b *browser) dress(scheme string, width, height int64) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
	b.run(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1)))
}

// servePage serves the page of a fake proxy with some minutes behind it.
func servePage(t *testing.T, f *fakeProxy, o Options) (*Handler, string) {
	t.Helper()
	h := newHandler(f, o)
	now := time.Now()
	f.rehearse(h.sampler, now.Add(-6*time.Minute), now)
	h.sampler.start()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		h.Close()
	})
	return h, server.URL
}

func TestPage(t *testing.T) {
	f := newFake(1, 37, time.Now().Add(-6*time.Minute))
	var reloaded sync.WaitGroup
	reloaded.Add(1)
	_, url := servePage(t, f, Options{
		Metrics: http.NotFoundHandler(), Drain: f.drain,
		Reload: func(context.Context) error { reloaded.Done(); return nil },
	})
	b := startBrowser(t)
	b.open(url)
	b.until("connections are listed", `document.querySelectorAll("#connection-table .row").length === 37`)
	b.until("the state is shown", `document.querySelector("#state").textContent === "serving"`)
	b.until("numbers are shown", `/^\d/.test(document.querySelector("#tile-requests .big").textContent)`)

	for _, id := range []string{"requests", "throughput", "connections", "latency"} {
		b.until("plot "+id+" has points", fmt.Sprintf(`Number(document.querySelector("#plot-%s").dataset.points) > 200`, id))
		// Pixels of a colour, not only of the grey grid.
		drawn := js[int](b, fmt.Sprintf(`(() => {
			const c = document.querySelector("#plot-%s"), g = c.getContext("2d");
			const d = g.getImageData(0, 0, c.width, c.height).data;
			let n = 0;
			for (let i = 0; i < d.length; i += 4) if (d[i+3] > 60 && Math.max(d[i], d[i+1], d[i+2]) - Math.min(d[i], d[i+1], d[i+2]) > 60) n++;
			return n;
		})()`, id))
		if drawn < 1000 {
			t.Errorf("plot %s: %d coloured pixels", id, drawn)
		}
	}

	// A plot tells its numbers where the mouse is, and shows another span.
	b.do(`(() => {
		const c = document.querySelector("#plot-throughput"), r = c.getBoundingClientRect();
		c.dispatchEvent(new MouseEvent("mousemove", {clientX: r.left + r.width / 2, clientY: r.top + 50}));
	})()`)
	b.until("the tip is shown", `!document.querySelector("#tip").hidden && /eth0 out[\d.]+ [kM]bit/.test(document.querySelector("#tip").textContent)`)
	b.do(`document.querySelector("#plot-throughput").dispatchEvent(new MouseEvent("mouseleave"))`)
	b.until("the tip goes", `document.querySelector("#tip").hidden`)
	b.click(`#range button[data-value="60000"]`)
	b.until("a minute is shown", `Number(document.querySelector("#plot-requests").dataset.points) < 70`)
	b.click(`#range button[data-value="300000"]`)

	// A row shows its subflows, and goes on showing them when it is updated.
	b.click(`#connection-table .row:has(.pill.mptcp) .twist`)
	b.until("subflows are shown", `document.querySelectorAll("#connection-table .detail .subflow").length >= 2`)
	b.until("subflows have an interface", `document.querySelector(".detail .subflow").textContent.includes("eth0")`)
	before := js[string](b, `document.querySelector(".detail .subflow").textContent`)
	b.until("subflows are updated", fmt.Sprintf(`document.querySelector(".detail .subflow").textContent !== %q`, before))
	b.screenshot("row", "light", 1440, 1000, `document.querySelector(".detail").scrollIntoView({block: "center"})`)
	b.click(`#connection-table .row.open .twist`)
	b.until("subflows are hidden", `document.querySelectorAll(".detail").length === 0`)

	b.run(chromedp.SendKeys(chromedp.CSS("#filter"), "ssh"))
	b.until("the filter works", `(() => {
		const rows = [...document.querySelectorAll("#connection-table .row")];
		return rows.length > 0 && rows.length < 37 && rows.every((r) => r.cells[1].textContent === "ssh");
	})()`)
	b.do(`const f = document.querySelector("#filter"); f.value = ""; f.dispatchEvent(new Event("input"))`)
	b.click(`#protocol button[data-value=tcp]`)
	b.until("the protocol filter works", `(() => {
		const rows = [...document.querySelectorAll("#connection-table .row")];
		return rows.length > 3 && rows.length < 37 && rows.every((r) => r.querySelector(".pill").textContent === "TCP");
	})()`)
	b.click(`#protocol button[data-value=""]`)

	b.click(`button[data-sort=requests]`)
	b.until("sorting works", `(() => {
		const n = [...document.querySelectorAll("#connection-table .row")].map((r) => Number(r.cells[9].textContent.replaceAll(",", "")));
		return n.length === 37 && n[0] > n[36] && n.every((v, i) => i === 0 || n[i-1] >= v);
	})()`)

	// A backend is drained, and comes back.
	b.click(`[data-pool=app] [data-backend=app-2] button`)
	b.until("the backend drains", `document.querySelector("[data-backend=app-2] .pill").textContent === "draining"`)
	b.click(`[data-pool=app] [data-backend=app-2] button`)
	b.until("the backend is back", `document.querySelector("[data-backend=app-2] .pill").textContent === "up"`)
	b.click(`#reload`)
	reloaded.Wait()

	b.click("#pause")
	paused := js[string](b, `document.querySelector("#facts").textContent + document.querySelector("#connection-table").textContent`)
	time.Sleep(1500 * time.Millisecond)
	if js[string](b, `document.querySelector("#facts").textContent + document.querySelector("#connection-table").textContent`) != paused {
		t.Error("the page goes on while it is paused")
	}
	b.click("#pause")
	b.until("the page goes on", fmt.Sprintf(`document.querySelector("#facts").textContent + document.querySelector("#connection-table").textContent !== %q`, paused))

	b.screenshot("light", "light", 1440, 1500, "scrollTo(0, 0)")
	b.screenshot("dark", "dark", 1440, 1500, "scrollTo(0, 0)")
	b.screenshot("dark-end", "dark", 1440, 1200, `document.querySelector("#pools").scrollIntoView()`)
	b.screenshot("narrow", "light", 390, 1600, "scrollTo(0, 0)")
	b.dress("dark", 390, 800)
	if w := js[int](b, `document.documentElement.scrollWidth - innerWidth`); w > 0 {
		t.Errorf("the page is %d pixels wider than the window", w)
	}
	b.quiet()
}

// TestPageLarge shows a thousand connections.
func TestPageLarge(t *testing.T) {
	f := newFake(2, 1000, time.Now().Add(-6*time.Minute))
	_, url := servePage(t, f, Options{})
	b := startBrowser(t)
	b.open(url)
	b.until("a page of connections", `document.querySelectorAll("#connection-table .row").length === 50`)
	b.until("their number", `document.querySelector("#count").textContent === "1 – 50 of 1,000"`)
	b.click("#next")
	b.until("the second page", `document.querySelector("#count").textContent === "51 – 100 of 1,000"`)
	b.run(chromedp.SendKeys(chromedp.CSS("#filter"), "ssh"))
	b.until("the filter goes back to the first page", `/^1 – (\d\d) of \1 \(1,000 open\)$/.test(document.querySelector("#count").textContent)`)
	b.screenshot("large", "light", 1440, 1200, `document.querySelector("#connections").scrollIntoView()`)
	b.quiet()
}

// TestPageHostile has clients say what a browser must not take for anything but
// text.
func TestPageHostile(t *testing.T) {
	attacks := []string{
		`<img src=x onerror="window.hacked=1">`, `"><script>window.hacked=1</script>`, `'-alert(1)-'`, `</td></tr></table><h1>gone</h1>`,
		`{{constructor.constructor('window.hacked=1')()}}`, `javascript:window.hacked=1`, "\u202egnp.exe\u202c", "</script><svg/onload=window.hacked=1>",
	}
	f := newFake(3, len(attacks), time.Now().Add(-6*time.Minute))
	f.change = func(s *status.Snapshot) {
		for i := range s.Connections {
			c, a := &s.Connections[i], attacks[i%len(attacks)]
			c.Host, c.ServerName, c.UserAgent, c.Fallback, c.Protocol = a, a, a, a, a
			c.Paths[0].Interface = a
			c.Paths[0].Reset = a
		}
		s.Pools[0].Members[0].LastError, s.Pools[0].Members[0].Name = attacks[0], attacks[1]
		s.Totals.Fallbacks = map[string]uint64{attacks[0]: 3, "__proto__": 1}
		s.Totals.Paths[0].Name = attacks[0]
		s.Listeners[0].Addresses = attacks
	}
	_, url := servePage(t, f, Options{Drain: f.drain})
	b := startBrowser(t)
	b.open(url)
	b.until("connections are listed", fmt.Sprintf(`document.querySelectorAll("#connection-table .row").length === %d`, len(attacks)))
	b.do(`document.querySelectorAll("#connection-table .twist").forEach((t) => t.click())`)
	b.until("they are shown as text", fmt.Sprintf(`document.querySelector("#connections").textContent.includes(%q)`, attacks[0]))
	time.Sleep(1500 * time.Millisecond) // and as updates
	if js[bool](b, `"hacked" in window`) {
		t.Error("a client's script ran")
	}
	if n := js[int](b, `document.querySelectorAll("main img, main h1, main script, main svg").length`); n != 0 {
		t.Errorf("%d elements of a client's making", n)
	}
	if hrefs := js[string](b, `[...document.querySelectorAll("a")].map((a) => a.getAttribute("href")).join(" ")`); strings.Contains(hrefs, "javascript") {
		t.Errorf("links: %s", hrefs)
	}
	b.quiet()

	// Even a page that was tricked could not run a script: the policy says no.
	blocked := js[bool](b, `new Promise((done) => {
		document.addEventListener("securitypolicyviolation", () => done(true));
		const s = document.createElement("script");
		s.textContent = "window.hacked = 1";
		document.head.append(s);
		setTimeout(() => done(false), 3000);
	})`)
	if !blocked || js[bool](b, `"hacked" in window`) {
		t.Error("the policy lets scripts of others run")
	}
}

// TestPageTrouble shows that the proxy does not answer, and recovers.
func TestPageTrouble(t *testing.T) {
	f := newFake(4, 3, time.Now().Add(-6*time.Minute))
	h, _ := servePage(t, f, Options{})
	var mu sync.Mutex
	broken := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		no := broken
		mu.Unlock()
		if no {
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	b := startBrowser(t)
	b.open(server.URL)
	b.until("the page is there", `document.querySelectorAll("#connection-table .row").length === 3`)
	mu.Lock()
	broken = true
	mu.Unlock()
	b.until("trouble is told", `!document.querySelector("#trouble").hidden`)
	mu.Lock()
	broken = false
	mu.Unlock()
	b.until("trouble is over", `document.querySelector("#trouble").hidden`)
}
