module github.com/braid-mptcp/braid

go 1.26
