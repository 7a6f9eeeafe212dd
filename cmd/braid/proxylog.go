package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/braid-mptcp/braid/config"
)

// proxyLog is the log of a proxy. Its level, format and destination change with
// the configuration, and files are opened anew after they were moved away.
type proxyLog struct {
	con     console
	current atomic.Pointer[logTarget]
}

// logTarget is where a log goes.
type logTarget struct {
	cfg     config.Log
	handler slog.Handler
	file    *logFile // nil: standard output or error
}

func (t *logTarget) close() {
	if t.file != nil {
		t.file.close()
	}
}

// newProxyLog makes a log as cfg says.
func newProxyLog(con console, cfg config.Log) (*proxyLog, error) {
	l := &proxyLog{con: con}
	t, err := l.target(cfg)
	if err != nil {
		return nil, err
	}
	l.current.Store(t)
	return l, nil
}

// logger gives the log as what others write to.
func (l *proxyLog) logger() *slog.Logger { return slog.New(logHandler{log: l}) }

var logLevels = map[config.LogLevel]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// target opens what cfg says, unless that is what there is already.
func (l *proxyLog) target(cfg config.Log) (*logTarget, error) {
	cfg.Access = config.AccessLog{} // is somebody else's
	if now := l.current.Load(); now != nil && now.cfg == cfg {
		return now, nil
	}
	t := &logTarget{cfg: cfg}
	var w io.Writer
	switch cfg.Output {
	case "stderr":
		w = l.con.err
	case "stdout":
		w = l.con.out
	default:
		t.file = &logFile{name: cfg.Output}
		if err := t.file.reopen(); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		w = t.file
	}
	options := &slog.HandlerOptions{Level: logLevels[cfg.Level]}
	if cfg.Format == "json" {
		t.handler = slog.NewJSONHandler(w, options)
	} else {
		t.handler = slog.NewTextHandler(w, options)
	}
	return t, nil
}

// use makes t the target. The one before is closed.
func (l *proxyLog) use(t *logTarget) {
	if before := l.current.Swap(t); before != t {
		before.close()
	}
}

// drop closes a target that was not put to use after all.
func (l *proxyLog) drop(t *logTarget) {
	if l.current.Load() != t {
		t.close()
	}
}

// reopen opens the file anew, if there is one.
func (l *proxyLog) reopen() error {
	if f := l.current.Load().file; f != nil {
		return f.reopen()
	}
	return nil
}

// logHandler hands records to the target there is at the time.
type logHandler struct {
	log    *proxyLog
	derive []func(slog.Handler) slog.Handler
}

func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.log.current.Load().handler.Enabled(ctx, level)
}

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	handler := h.log.current.Load().handler
	for _, f := range h.derive {
		handler = f(handler)
	}
	return handler.Handle(ctx, r)
}

func (h logHandler) with(f func(slog.Handler) slog.Handler) slog.Handler {
	return logHandler{h.log, append(h.derive[:len(h.derive):len(h.derive)], f)}
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h logHandler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

// logFile is a file that is appended to.
type logFile struct {
	name string

	mu sync.Mutex
	f  *os.File
}

// Write implements io.Writer.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(b)
}

// reopen opens the file by its name. When that fails, the one before is kept.
func (l *logFile) reopen() error {
	f, err := os.OpenFile(l.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return nil
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f.Close()
}
