// Package get downloads a file by HTTP over all paths of a braid.Network, and
// tells meanwhile what each path carries.
//
// What has arrived is kept: in FILE.part until it is complete, beside
// FILE.part.json, which says what it is a part of. A connection that breaks is
// made again and the download goes on where it was (RFC 9110 section 14), and
// so it does when it is started again after a failure. The server is asked for
// the rest only if the file is still the same there (If-Range), by its ETag or
// its modification time; a file that has neither is begun anew.
package get
