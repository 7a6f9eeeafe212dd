package mptcp

// Defaults is what the zero Config means.
func Defaults() Config {
	var c Config
	c.setDefaults()
	return c
}

// SetIDSN makes the connection count both streams from other numbers on the
// wire than those its keys give: no key can be found whose hash ends in 64
// ones.
func (c *Conn) SetIDSN(local, peer uint64) { c.local.idsn, c.peer.idsn = local, peer }
