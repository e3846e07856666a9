package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// enter moves this thread into the mount namespace of a process. Threads of a Go program share their root and
// working directory, which the kernel refuses here: so they are unshared first.
func enter(pid string) error {
	runtime.LockOSThread()
	namespace, err := os.Open("/proc/" + pid + "/ns/mnt")
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS)
}

// attach PID SOURCE TARGET shows a directory inside a running host.
func attach(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: attach PID SOURCE TARGET")
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, args[1], unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	if mounted(args[0], args[2]) {
		return nil
	}
	if err := enter(args[0]); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	if err := os.MkdirAll(args[2], 0o755); err != nil {
		return err
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, args[2], unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// detach PID TARGET takes it away again. A target that is not there is detached already.
func detach(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("usage: detach PID TARGET [lazy]")
	}
	if !mounted(args[0], args[1]) {
		return nil
	}
	if err := enter(args[0]); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	flags := 0
	if len(args) == 3 {
		// Who has a file open keeps it until it closes it.
		flags = unix.MNT_DETACH
	}
	return unix.Unmount(args[1], flags)
}

// mounted is asked before entering: the host's own /proc doesn't know a process that comes from outside.
func mounted(pid, path string) bool {
	mounts, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		return false
	}
	// A later mount covers an earlier one: the tmpfs that a target such as /data lies on does not count.
	source := ""
	for _, line := range strings.Split(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == path {
			source = line
		}
	}
	return source != "" && !strings.Contains(source, " - tmpfs ")
}

// archive DIRECTORY writes everything below it to standard output as a tar stream in one order.
func archive(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: archive DIRECTORY")
	}
	out := tar.NewWriter(os.Stdout)
	err := filepath.WalkDir(args[0], func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(args[0], path)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode()&(fs.ModeSocket|fs.ModeNamedPipe|fs.ModeDevice) != 0 {
			return nil
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header.Name, header.Format = name, tar.FormatPAX
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.CopyN(out, file, info.Size())
		return err
	})
	if err != nil {
		return err
	}
	return out.Close()
}

// restore DIRECTORY puts a tar stream from standard input in the place of what the directory holds. It is written beside
// first; only when it is whole does it take the place, so that a kill leaves the old content or the new.
func restore(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: restore DIRECTORY")
	}
	fresh, old := args[0]+".new", args[0]+".old"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := extract(fresh); err != nil {
		os.RemoveAll(fresh)
		return err
	}
	// The directory itself stays: running hosts have it mounted. Its content changes hands inside it.
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Mkdir(old, 0o700); err != nil {
		return err
	}
	if err := moveAll(args[0], old); err != nil {
		return errors.Join(err, moveAll(old, args[0]))
	}
	if err := moveAll(fresh, args[0]); err != nil {
		return err
	}
	if info, err := os.Stat(fresh); err == nil {
		_ = os.Chmod(args[0], info.Mode())
		_ = os.Chtimes(args[0], info.ModTime(), info.ModTime())
	}
	unix.Sync()
	return errors.Join(os.RemoveAll(old), os.RemoveAll(fresh))
}

// extractTo DIRECTORY writes a tar stream from standard input into an empty directory.
func extractTo(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: extract DIRECTORY")
	}
	if err := extract(args[0]); err != nil {
		return err
	}
	unix.Sync()
	return nil
}

func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func extract(into string) error {
	in := tar.NewReader(os.Stdin)
	// Directories get their times last: writing into them would change them again.
	var directories []*tar.Header
	for {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if header.Name != "." && !filepath.IsLocal(header.Name) {
			return fmt.Errorf("%q leads outside", header.Name)
		}
		path := filepath.Join(into, header.Name)
		switch header.Typeflag {
		case tar.TypeDir:
			directories = append(directories, header)
			err = os.MkdirAll(path, 0o700)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		case tar.TypeReg:
			err = extractFile(path, in)
		}
		if err != nil {
			return err
		}
		if os.Getuid() == 0 {
			if err := os.Lchown(path, header.Uid, header.Gid); err != nil {
				return err
			}
		}
		if header.Typeflag == tar.TypeReg {
			if err := errors.Join(os.Chmod(path, header.FileInfo().Mode()), os.Chtimes(path, header.ModTime, header.ModTime)); err != nil {
				return err
			}
		}
	}
	for index := len(directories) - 1; index >= 0; index-- {
		path, header := filepath.Join(into, directories[index].Name), directories[index]
		if err := errors.Join(os.Chmod(path, header.FileInfo().Mode()), os.Chtimes(path, header.ModTime, header.ModTime)); err != nil {
			return err
		}
	}
	return nil
}

func extractFile(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
