// Package lab is where Braid is tried out: networks emulated on this machine,
// and measurements on them.
//
// An Emulator gives devices that are connected by lines with a rate, a delay
// and faults, in real time and without any privilege. What the lines do to a
// packet is package sim's, which does the same in virtual time.
package lab
