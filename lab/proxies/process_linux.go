package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Who runs where. The figures of one are not comparable with those of the other.
const (
	// cpusShared: every proxy may use all CPUs, with a thread or worker for
	// each, and so may the load and the server.
	cpusShared = "shared"
	// cpusApart: the proxy has CPU 0 for itself, with one thread or worker;
	// the load and the server share the others.
	cpusApart = "apart"
)

// process is a program that runs until stop.
type process struct {
	cmd   *exec.Cmd
	log   bytes.Buffer  // to be read once it has ended
	ended chan struct{} // closed then
}

// start runs a program on the CPUs given; none: on all.
func start(cpus []int, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// No Pdeathsig: it comes when the thread that started the process ends.
	if err := onCPUs(cpus, p.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// onCPUs runs fn with the affinity that processes it starts are to inherit.
func onCPUs(cpus []int, fn func() error) error {
	if len(cpus) == 0 {
		return fn()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, wanted unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for _, cpu := range cpus {
		wanted.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return err
	}
	err := fn()
	if restore := unix.SchedSetaffinity(0, &before); err == nil {
		err = restore
	}
	return err
}

// awaitPort waits until the program accepts connections.
func (p *process) awaitPort(addr string) error {
	late := time.After(10 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.ended:
			return fmt.Errorf("%s: %s\n%s", p.cmd, p.cmd.ProcessState, &p.log)
		case <-late:
			p.stop()
			return fmt.Errorf("%s does not listen: %w\n%s", p.cmd, err, &p.log)
		}
	}
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	<-p.ended
	late.Stop()
}

// clockTick is the unit of times in /proc, USER_HZ, the same on all of Linux.
const clockTick = 100

// cpuSeconds is the processor time that a process has used, its children and
// theirs included.
func cpuSeconds(pid int) (float64, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	ticks, parent := make(map[int]int64), make(map[int]int)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		id, ppid, t, err := parseStat(string(b))
		if err != nil {
			return 0, err
		}
		ticks[id], parent[id] = t, ppid
	}
	if _, ok := ticks[pid]; !ok {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	var sum int64
	for id, t := range ticks {
		for up := id; up > 1; up = parent[up] {
			if up == pid {
				sum += t
				break
			}
		}
	}
	return float64(sum) / clockTick, nil
}

// parseStat reads the id, the parent and the processor time of a line of
// /proc/PID/stat, that of children which were waited for included.
func parseStat(line string) (pid, ppid int, ticks int64, err error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return 0, 0, 0, fmt.Errorf("stat %q", line)
	}
	f := strings.Fields(line[end+1:]) // from the third field on
	if len(f) < 15 {
		return 0, 0, 0, fmt.Errorf("stat %q", line)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line[:open])); err != nil {
		return 0, 0, 0, err
	}
	if ppid, err = strconv.Atoi(f[1]); err != nil {
		return 0, 0, 0, err
	}
	for _, s := range f[11:15] { // utime stime cutime cstime
		t, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		ticks += t
	}
	return pid, ppid, ticks, nil
}

// busySeconds is the processor time that all programs of the machine have used
// so far. The kernel's work for packets is not in it.
func busySeconds() (float64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 4 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var sum int64
	for _, s := range f[1:4] { // user, nice, system
		t, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return float64(sum) / clockTick, nil
}

// selfSeconds is the processor time that this process has used itself.
func selfSeconds() (float64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, nil
}
