package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A terminal's connection carries frames both ways: one letter, the length (4 bytes, big-endian), the content.
// From outside: i input, r window size (JSON), s signal (its number as text). From inside: o output, x exit code, e an error instead of a start.
const largestFrame = 1 << 20

type windowSize struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
}

// newline passes over the end of the line that the request was.
func newline(reader io.Reader) *bufio.Reader {
	buffered := bufio.NewReader(reader)
	if next, err := buffered.Peek(1); err == nil && next[0] == '\n' {
		_, _ = buffered.Discard(1)
	}
	return buffered
}

// runTerminal runs a program on a terminal of its own until it ends, or until the connection does: nothing of it outlives whoever asked.
func runTerminal(request execRequest, in *bufio.Reader, out io.Writer) {
	reaping.RLock()
	defer func() { reaping.RUnlock(); reap() }()
	var writing sync.Mutex
	frame := func(kind byte, content []byte) error {
		head := make([]byte, 5, 5+len(content))
		head[0] = kind
		binary.BigEndian.PutUint32(head[1:], uint32(len(content)))
		writing.Lock()
		defer writing.Unlock()
		_, err := out.Write(append(head, content...))
		return err
	}
	control, terminal, err := openTerminal()
	if err != nil {
		_ = frame('e', []byte(fmt.Sprintf("no terminal: %v", err)))
		return
	}
	defer control.Close()
	setSize(control, *request.Terminal)
	command := exec.Command(request.Argv[0], request.Argv[1:]...)
	command.Env = []string{"PATH=/bin:/sbin", "HOME=/root", "TERM=xterm-256color"}
	command.Dir = "/root"
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = command.Start()
	terminal.Close()
	if err != nil {
		_ = frame('e', []byte(err.Error()))
		return
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buffer := make([]byte, 32*1024)
		for {
			n, err := control.Read(buffer)
			if n > 0 && frame('o', buffer[:n]) != nil {
				return
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		take(in, control, command.Process)
		endSession(command.Process.Pid)
	}()
	_ = command.Wait()
	code := command.ProcessState.ExitCode()
	if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	// What it left running would keep the terminal open.
	endSession(command.Process.Pid)
	<-drained
	_ = frame('x', []byte(strconv.Itoa(code)))
}

// take does what comes from outside until nothing comes any more.
func take(in io.Reader, control *os.File, process *os.Process) {
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(head[1:])
		if length > largestFrame {
			return
		}
		content := make([]byte, length)
		if _, err := io.ReadFull(in, content); err != nil {
			return
		}
		switch head[0] {
		case 'i':
			if _, err := control.Write(content); err != nil {
				return
			}
		case 'r':
			var size windowSize
			if json.Unmarshal(content, &size) == nil {
				setSize(control, size)
			}
		case 's':
			if number, err := strconv.Atoi(string(content)); err == nil {
				_ = process.Signal(syscall.Signal(number))
			}
		}
	}
}

func openTerminal() (control, terminal *os.File, err error) {
	control, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		control.Close()
		return nil, nil, err
	}
	return control, terminal, nil
}

func setSize(control *os.File, size windowSize) {
	_ = unix.IoctlSetWinsize(int(control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: size.Cols, Row: size.Rows})
}

// endSession ends every process of a terminal's session, whichever group it made for itself.
func endSession(leader int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == 1 {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 3 && fields[3] == strconv.Itoa(leader) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
