//go:build race

package accesslog

// raceEnabled says that sync.Pool drops things at random.
const raceEnabled = true
