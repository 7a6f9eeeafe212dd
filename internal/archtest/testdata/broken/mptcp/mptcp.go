package mptcp

const X = 1
