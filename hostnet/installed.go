package hostnet

// Installation is what a process has installed, or what stays.
type Installation struct {
	Tag        string
	PID        int  // of the process that installed it
	Persistent bool // it stays until Remove
	// Alive tells whether the process is. What a dead one left, unless it is
	// persistent, goes with the next Cleanup.
	Alive   bool
	Actions []Action
}
