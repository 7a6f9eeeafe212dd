package tcp

// State is a state of RFC 9293 section 3.3.2. LISTEN is the stack's and has
// no Conn.
type State uint8

const (
	StateClosed State = iota
	StateSynSent
	StateSynReceived
	StateEstablished
	StateFinWait1
	StateFinWait2
	StateCloseWait
	StateClosing
	StateLastAck
	StateTimeWait
)

var stateNames = [...]string{"CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	"FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"}

func (s State) String() string { return stateNames[s] }

// synchronized reports whether both ends know each other's sequence numbers.
func (s State) synchronized() bool { return s >= StateEstablished }

// canReceive reports whether the peer may still send data.
func (s State) canReceive() bool {
	return s == StateEstablished || s == StateFinWait1 || s == StateFinWait2
}

// canSend reports whether our FIN has not been sent yet.
func (s State) canSend() bool { return s == StateEstablished || s == StateCloseWait }

// Open reports whether the connection is established and not over.
func (s State) Open() bool { return s.synchronized() && s != StateTimeWait }
