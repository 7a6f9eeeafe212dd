package proxy

import _ "github.com/braid-mptcp/braid/wire" // want import
