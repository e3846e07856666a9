package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tools are the programs of the image, by the name that they are called by.
var tools = map[string]func([]string) int{
	"true": func([]string) int { return 0 }, "false": func([]string) int { return 1 },
	"echo": func(args []string) int { fmt.Println(strings.Join(args, " ")); return 0 },
	"cat":  each(func(path string) error { return copyTo(os.Stdout, path) }),
	"ls":   each(list), "mkdir": each(func(path string) error { return os.MkdirAll(path, 0o755) }), "rm": each(os.RemoveAll),
	"write": each(write), "sha256sum": each(digest),
	"hostname": func([]string) int { name, _ := os.Hostname(); fmt.Println(name); return 0 },
	"id":       func([]string) int { fmt.Printf("uid=%d gid=%d\n", os.Getuid(), os.Getgid()); return 0 },
	"sleep":    func(args []string) int { time.Sleep(time.Duration(number(args)) * time.Second); return 0 },
	"burn":     burn, "eat": eat, "allocate": allocate, "tty": tty,
}

func init() { tools["sh"] = shell }

// each applies a tool to every argument and says on standard error which failed.
func each(one func(string) error) func([]string) int {
	return func(args []string) (code int) {
		for _, argument := range args {
			if err := one(argument); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		return code
	}
}

func number(args []string) int {
	if len(args) == 0 {
		return 0
	}
	value, _ := strconv.Atoi(args[0])
	return value
}

func copyTo(out io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}

func list(path string) error {
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		fmt.Println(entry.Name())
	}
	return err
}

// write puts standard input into a file, on the disk before it returns.
func write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, os.Stdin); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

func digest(path string) error {
	hash := sha256.New()
	if err := copyTo(hash, path); err != nil {
		return err
	}
	fmt.Printf("%x  %s\n", hash.Sum(nil), path)
	return nil
}

// burn SECONDS keeps one CPU busy, and prints the CPU seconds that it got.
func burn(args []string) int {
	end := time.Now().Add(time.Duration(number(args)) * time.Second)
	for time.Now().Before(end) {
	}
	return 0
}

// allocate FILE MIB gives a file that much room on its disk.
func allocate(args []string) int {
	if len(args) != 2 {
		return usage("allocate FILE MIB")
	}
	file, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		defer file.Close()
		err = unix.Fallocate(int(file.Fd()), 0, 0, int64(number(args[1:]))<<20)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func usage(text string) int {
	fmt.Fprintln(os.Stderr, "usage: "+text)
	return 2
}

// eat MIB [SECONDS] takes that much memory, touches every page of it, and holds it for so long.
func eat(args []string) int {
	taken := make([]byte, number(args)<<20)
	for index := 0; index < len(taken); index += 4096 {
		taken[index] = 1
	}
	if len(args) > 1 {
		time.Sleep(time.Duration(number(args[1:])) * time.Second)
	}
	fmt.Println(len(taken) >> 20)
	return 0
}
