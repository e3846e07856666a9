package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Socket on which init takes programs to run inside, reached from outside through /proc/PID/root.
const execSocket = "/run/zyguest.sock"
const outputLimit = 1 << 20

type execRequest struct {
	Argv      []string `json:"argv"`
	Stdin     string   `json:"stdin"`
	TimeoutMs int      `json:"timeoutMs"`
	// Terminal: the connection carries a terminal instead of one answer.
	Terminal *windowSize `json:"terminal"`
}

type execAnswer struct {
	Code   int    `json:"code"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// reaping: orphans are PID 1's to reap, but not the children that exec waits for itself.
var reaping sync.RWMutex

// runInit is PID 1 of a host: it notes the boot, reaps orphans, runs what it is asked to, and ends on SIGTERM.
func runInit() {
	if boot, err := os.OpenFile("/var/boot.log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err == nil {
		fmt.Fprintln(boot, time.Now().UTC().Format(time.RFC3339))
		boot.Close()
	}
	// An engine that writes the name into the host's files leaves it to init to take it on.
	if name, err := os.ReadFile("/etc/hostname"); err == nil {
		_ = unix.Sethostname(bytes.TrimSpace(name))
	}
	null, _ := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if null != nil {
		_ = unix.Dup3(int(null.Fd()), 0, 0)
	}
	_ = os.Remove(execSocket)
	listener, err := net.Listen("unix", execSocket)
	if err == nil {
		_ = os.Chmod(execSocket, 0o600)
		go serve(listener)
	}
	signals := make(chan os.Signal, 8)
	// SIGPWR is how LXC asks a host to stop, or SIGRTMIN+3, which it takes us to understand since Go's threads block it as systemd does.
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGPWR, syscall.Signal(37), syscall.SIGCHLD)
	for received := range signals {
		if received == syscall.SIGCHLD {
			reap()
			continue
		}
		// The kernel ends everything else in this PID namespace with PID 1.
		unix.Sync()
		os.Exit(0)
	}
}

func reap() {
	if !reaping.TryLock() {
		return
	}
	defer reaping.Unlock()
	for {
		var status unix.WaitStatus
		if pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil); err != nil || pid <= 0 {
			return
		}
	}
}

func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			var request execRequest
			decoder := json.NewDecoder(connection)
			if decoder.Decode(&request) != nil || len(request.Argv) == 0 {
				return
			}
			rest := io.MultiReader(decoder.Buffered(), connection)
			if request.Terminal != nil {
				runTerminal(request, newline(rest), connection)
				return
			}
			ctx, gone := context.WithCancel(context.Background())
			go func() {
				// Whoever asked says no more: that this ends means that they are gone, and so the program goes too.
				_, _ = io.Copy(io.Discard, rest)
				gone()
			}()
			_ = json.NewEncoder(connection).Encode(runInside(ctx, request))
		}()
	}
}

// limited keeps the first outputLimit bytes and swallows the rest.
type limited struct{ bytes.Buffer }

func (buffer *limited) Write(data []byte) (int, error) {
	if room := outputLimit - buffer.Len(); room > 0 {
		buffer.Buffer.Write(data[:min(room, len(data))])
	}
	return len(data), nil
}

func runInside(asked context.Context, request execRequest) execAnswer {
	reaping.RLock()
	defer func() { reaping.RUnlock(); reap() }()
	timeout := time.Duration(request.TimeoutMs) * time.Millisecond
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(asked, timeout)
	defer cancel()
	command := exec.CommandContext(ctx, request.Argv[0], request.Argv[1:]...)
	command.Env = []string{"PATH=/bin:/sbin", "HOME=/root"}
	command.Dir = "/"
	command.Stdin = strings.NewReader(request.Stdin)
	var stdout, stderr limited
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	answer := execAnswer{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		answer.Code = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			answer.Code = 128 + int(status.Signal())
		}
	default:
		answer.Code = 127
		answer.Stderr += err.Error()
	}
	return answer
}
