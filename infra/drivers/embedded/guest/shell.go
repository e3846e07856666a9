package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// shell is the image's sh: words, quotes, semicolons, cd, pwd, exit. The terminal itself does echo and the editing of the line.
func shell(args []string) int {
	// Ctrl-C is for what runs, not for the shell; what is caught (unlike what is ignored) is not handed on to children.
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, unix.SIGINT, unix.SIGQUIT)
	state := &shellState{}
	if len(args) == 2 && args[0] == "-c" {
		state.run(args[1])
		return state.code
	}
	_, err := unix.IoctlGetTermios(0, unix.TCGETS)
	prompts := err == nil
	name, _ := os.Hostname()
	input := bufio.NewReader(os.Stdin)
	for !state.ended {
		if prompts {
			place, _ := os.Getwd()
			fmt.Printf("%s:%s# ", name, place)
		}
		line, err := input.ReadString('\n')
		state.run(line)
		if err != nil {
			break
		}
	}
	return state.code
}

type shellState struct {
	code  int
	ended bool
}

func (state *shellState) run(line string) {
	commands, err := parse(line)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		state.code = 2
		return
	}
	for _, words := range commands {
		if state.ended {
			return
		}
		state.one(words)
	}
}

func (state *shellState) one(words []string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "sh:", err)
		state.code = 1
	}
	switch words[0] {
	case "exit":
		state.ended = true
		if len(words) > 1 {
			state.code, _ = strconv.Atoi(words[1])
		}
	case "cd":
		place := "/root"
		if len(words) > 1 {
			place = words[1]
		}
		state.code = 0
		if err := os.Chdir(place); err != nil {
			fail(err)
		}
	case "pwd":
		place, _ := os.Getwd()
		fmt.Println(place)
		state.code = 0
	default:
		command := exec.Command(words[0], words[1:]...)
		command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := command.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			state.code = 0
		case errors.As(err, &exit):
			state.code = exit.ExitCode()
		default:
			fmt.Fprintln(os.Stderr, "sh:", err)
			state.code = 127
		}
	}
}

// parse makes commands of a line: quotes keep what is between them together.
func parse(line string) ([][]string, error) {
	var commands [][]string
	var words []string
	var word strings.Builder
	within, begun := rune(0), false
	flush := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, letter := range line {
		switch {
		case within != 0 && letter == within:
			within = 0
		case within != 0:
			word.WriteRune(letter)
		case letter == '\'' || letter == '"':
			within, begun = letter, true
		case letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r':
			flush()
		case letter == ';':
			flush()
			if len(words) > 0 {
				commands = append(commands, words)
			}
			words = nil
		default:
			begun = true
			word.WriteRune(letter)
		}
	}
	if within != 0 {
		return nil, fmt.Errorf("a quote is not closed")
	}
	flush()
	if len(words) > 0 {
		commands = append(commands, words)
	}
	return commands, nil
}

// tty prints the terminal's window size, or says that there is none.
func tty([]string) int {
	size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		fmt.Println("not a tty")
		return 1
	}
	fmt.Printf("%d columns, %d rows\n", size.Col, size.Row)
	return 0
}
