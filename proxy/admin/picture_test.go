package admin

import (
	"os"
	"testing"
	"time"
)

// TestPicture takes the pictures of the documentation from the page of a running
// proxy, at $BRAID_PAGE, into $BRAID_SCREENSHOTS.
func TestPicture(t *testing.T) {
	url := os.Getenv("BRAID_PAGE")
	if url == "" {
		t.Skip("BRAID_PAGE names no page to take a picture of")
	}
	b := startBrowser(t)
	b.open(url)
	b.until("connections are listed", `document.querySelectorAll("#connection-table .row").length > 0`)
	time.Sleep(3 * time.Second) // rates take two looks
	b.screenshot("admin", "light", 1440, 1130, "scrollTo(0, 0)")
	b.screenshot("admin-dark", "dark", 1440, 1130, "scrollTo(0, 0)")
	b.click(`#connection-table .row:has(.pill.mptcp) .twist`)
	b.screenshot("admin-connections", "light", 1440, 900, `document.querySelector("#connections").scrollIntoView()`)
	b.screenshot("admin-pools", "light", 1440, 900, `document.querySelector("#pools").scrollIntoView()`)
	b.quiet()
}
