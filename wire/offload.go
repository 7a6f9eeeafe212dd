package wire

// Offload is what a packet needs from, or got from, the device it passes
// (see link.Packet, which has the same two fields).
type Offload struct {
	SegSize         int  // TCP payload bytes of each piece; 0: one piece
	PartialChecksum bool // out: complete the TCP checksum; in: already verified
}
