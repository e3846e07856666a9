package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const initPath = "/sbin/init"

// Mount shows a directory, or an ext4 image, inside a host.
type Mount struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Host is what launch reads as JSON from its standard input.
type Host struct {
	// Marker stands in the init's argument list, so that a host is found again when its record was never written.
	Marker   string `json:"marker"`
	Hostname string `json:"hostname"`
	// Image is the root file system, shown read-only.
	Image string `json:"image"`
	// Directory holds the host's own /etc, /var and /root.
	Directory string   `json:"directory"`
	Cgroups   []string `json:"cgroups"`
	Volumes   []Mount  `json:"volumes"`
	Log       string   `json:"log"`
}

// launch starts a host in namespaces of its own and prints its init's PID. The init goes on when launch and its caller end.
func launch(_ []string) error {
	var host Host
	if err := json.NewDecoder(os.Stdin).Decode(&host); err != nil {
		return err
	}
	// Joined before the clone, so that limits hold from the host's first instruction.
	for _, group := range host.Cgroups {
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(fmt.Sprint(os.Getpid())), 0o644); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(host.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	config, err := json.Marshal(host)
	if err != nil {
		return err
	}
	child := exec.Command("/proc/self/exe", "setup")
	child.Env = []string{}
	child.Stdout, child.Stderr = log, log
	stdin, err := child.StdinPipe()
	if err != nil {
		return err
	}
	ready, readyWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	child.ExtraFiles = []*os.File{readyWrite}
	size := 65536
	if os.Getuid() != 0 {
		size = 1
	}
	child.SysProcAttr = &syscall.SysProcAttr{
		Setsid:                     true,
		Cloneflags:                 unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		UidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: size}},
		GidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: size}},
		GidMappingsEnableSetgroups: os.Getuid() == 0,
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("the kernel refuses the namespaces: %w", err)
	}
	readyWrite.Close()
	if _, err := stdin.Write(append(config, '\n')); err != nil {
		return err
	}
	// The pipe closes when init runs (close-on-exec); before that it carries what went wrong.
	message := make([]byte, 4096)
	n, _ := ready.Read(message)
	if n > 0 && string(message[:n]) != "ok" {
		child.Process.Kill()
		return fmt.Errorf("%s", strings.TrimSpace(string(message[:n])))
	}
	fmt.Println(child.Process.Pid)
	return nil
}

// setup runs as PID 1 of the new namespaces: it makes the root file system and becomes init.
func setup(_ []string) error {
	ready := os.NewFile(3, "ready")
	unix.CloseOnExec(3)
	if err := prepare(); err != nil {
		fmt.Fprint(ready, err)
		return err
	}
	return nil
}

func prepare() error {
	var host Host
	if err := json.NewDecoder(os.Stdin).Decode(&host); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(host.Hostname)); err != nil {
		return err
	}
	loopbackUp()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	root := filepath.Join(host.Directory, "root")
	if err := bind(host.Image, root, true); err != nil {
		return err
	}
	for _, own := range []string{"etc", "var"} {
		if err := bind(filepath.Join(host.Directory, own), filepath.Join(root, own), false); err != nil {
			return err
		}
	}
	for _, temporary := range []string{"tmp", "run", "dev", "mnt", "srv", "data"} {
		if err := unix.Mount("tmpfs", filepath.Join(root, temporary), "tmpfs", unix.MS_NOSUID, "mode=755,size=16m"); err != nil {
			return fmt.Errorf("tmpfs on /%s: %w", temporary, err)
		}
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom"} {
		target := filepath.Join(root, "dev", device)
		if file, err := os.Create(target); err == nil {
			file.Close()
			_ = unix.Mount("/dev/"+device, target, "", unix.MS_BIND, "")
		}
	}
	terminals(root)
	for _, volume := range host.Volumes {
		target := filepath.Join(root, volume.Target)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := bind(volume.Source, target, false); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		fmt.Fprintf(os.Stderr, "no /proc inside: %v\n", err)
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.Exec(initPath, []string{initPath, host.Marker}, []string{"PATH=/bin:/sbin", "HOME=/root", "GOGC=25", "GOMAXPROCS=1"})
}

// terminals gives the host pseudo-terminals of its own. A kernel that refuses them refuses shells, and nothing else.
func terminals(root string) {
	pts := filepath.Join(root, "dev/pts")
	err := os.Mkdir(pts, 0o755)
	if err == nil {
		err = unix.Mount("devpts", pts, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
	}
	if err == nil {
		err = os.Symlink("pts/ptmx", filepath.Join(root, "dev/ptmx"))
	}
	if err == nil {
		// Whatever opens /dev/tty means the terminal that it runs on.
		file, made := os.Create(filepath.Join(root, "dev/tty"))
		if made == nil {
			file.Close()
			_ = unix.Mount("/dev/tty", filepath.Join(root, "dev/tty"), "", unix.MS_BIND, "")
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "no terminals inside: %v\n", err)
	}
}

// bind mounts source on target. A read-only remount has to keep what the source's mount forbids already.
func bind(source, target string, readOnly bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", filepath.Base(target), err)
	}
	if !readOnly {
		return nil
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(target, &stat); err != nil {
		return err
	}
	kept := uintptr(stat.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME)
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|kept, ""); err != nil {
		return fmt.Errorf("read-only %s: %w", filepath.Base(target), err)
	}
	return nil
}

func loopbackUp() {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	_ = unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}
