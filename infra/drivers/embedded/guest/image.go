package main

// Volumes as images: an ext4 file system in a sparse file, mounted by a loop device, so that nothing in it can outgrow its size.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	blockBytes     = 4096
	ext4Resize     = 0x40086610 // EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64)
	loopDeviceKind = 7          // major number
)

// makeImage IMAGE BYTES makes the file system; what is there under the name is replaced.
func makeImage(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: image-make IMAGE BYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	os.Setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		return errors.New("mkfs.ext4 (e2fsprogs) is not installed")
	}
	file, err := os.OpenFile(args[0], os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		return err
	}
	// The whole size is the department's (-m 0); what a sparse file reads as zero needs no zeroing.
	said, err := exec.Command(mkfs, "-q", "-F", "-m", "0", "-J", "size="+strconv.Itoa(journalMib(size)), "-b", strconv.Itoa(blockBytes), "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", args[0]).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %s", strings.TrimSpace(string(said)))
	}
	return file.Sync()
}

// journalMib is the same for every size but the smallest, so that what fits a volume that has grown fits a fresh one too.
func journalMib(size int64) int {
	if size < 256<<20 {
		return 4
	}
	return 16
}

// mountImage IMAGE TARGET mounts it; done already: nothing happens.
func mountImage(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: image-mount IMAGE TARGET")
	}
	if err := os.MkdirAll(args[1], 0o755); err != nil {
		return err
	}
	switch same, err := mountedFrom(args[0], args[1]); {
	case err != nil:
		return err
	case same:
		return nil
	}
	file, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	device, loop, err := loopOf(file)
	if err != nil {
		return err
	}
	// The kernel frees the device with its last mount (autoclear).
	defer loop.Close()
	if err := unix.Mount(device, args[1], "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, "discard,noinit_itable"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	// A volume begins empty; fsck makes it anew should it ever need it.
	_ = os.Remove(args[1] + "/lost+found")
	return nil
}

// unmountImage TARGET takes every mount from it. Hosts that show it keep their own.
func unmountImage(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: image-unmount TARGET")
	}
	for {
		switch err := unix.Unmount(args[0], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err {
		case nil:
		case unix.EINVAL, unix.ENOENT:
			return nil
		default:
			return err
		}
	}
}

// growImage IMAGE TARGET BYTES grows the mounted file system.
func growImage(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: image-grow IMAGE TARGET BYTES")
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	if err := mountImage(args[:2]); err != nil {
		return err
	}
	if info, err := os.Stat(args[0]); err != nil {
		return err
	} else if info.Size() < size {
		if err := os.Truncate(args[0], size); err != nil {
			return err
		}
	}
	device, err := loopUnder(args[1])
	if err != nil {
		return err
	}
	loop, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer loop.Close()
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	root, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer root.Close()
	blocks := uint64(size / blockBytes)
	if _, _, code := unix.Syscall(unix.SYS_IOCTL, root.Fd(), ext4Resize, uintptr(unsafe.Pointer(&blocks))); code != 0 {
		return fmt.Errorf("resize: %w", code)
	}
	return nil
}

// mountedFrom tells whether target shows exactly this image; another one there is taken away.
func mountedFrom(image, target string) (bool, error) {
	device, err := loopUnder(target)
	if err != nil || device == "" {
		return false, err
	}
	loop, err := os.Open(device)
	if err != nil {
		return false, err
	}
	defer loop.Close()
	info, err := unix.IoctlLoopGetStatus64(int(loop.Fd()))
	if err != nil {
		return false, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(image, &stat); err != nil {
		return false, err
	}
	if info.Inode == stat.Ino {
		return true, nil
	}
	return false, unmountImage([]string{target})
}

// loopUnder names the loop device that is mounted on target; "" when none is.
func loopUnder(target string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Stat(target, &stat); err != nil {
		return "", err
	}
	if unix.Major(stat.Dev) != loopDeviceKind {
		return "", nil
	}
	var above unix.Stat_t
	if err := unix.Stat(target+"/..", &above); err == nil && above.Dev == stat.Dev {
		// The endpoint itself lies on a loop device.
		return "", nil
	}
	return fmt.Sprintf("/dev/loop%d", unix.Minor(stat.Dev)), nil
}

// loopOf gives a file a loop device. Others take devices at the same time: a lost race is tried again.
func loopOf(file *os.File) (string, *os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer control.Close()
	for attempt := 0; ; attempt++ {
		free, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil, fmt.Errorf("no loop device is free: %w", err)
		}
		device := fmt.Sprintf("/dev/loop%d", free)
		loop, err := os.OpenFile(device, os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			// Containers have a /dev of their own, in which new devices don't appear by themselves.
			_ = unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(loopDeviceKind, uint32(free))))
			loop, err = os.OpenFile(device, os.O_RDWR, 0)
		}
		if err != nil {
			return "", nil, err
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}})
		if err == nil {
			return device, loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) || attempt == 100 {
			return "", nil, fmt.Errorf("loop: %w", err)
		}
	}
}

// growUnmounted IMAGE BYTES grows an image that nothing has mounted: the way where the kernel doesn't let us grow a mounted one.
func growUnmounted(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: image-grow-unmounted IMAGE BYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	// The device goes a moment after its last mount.
	for attempt := 0; held(args[0]); attempt++ {
		if attempt == 200 {
			return errors.New("something still uses the volume: busy")
		}
		time.Sleep(10 * time.Millisecond)
	}
	os.Setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
	if info, err := os.Stat(args[0]); err != nil {
		return err
	} else if info.Size() < size {
		if err := os.Truncate(args[0], size); err != nil {
			return err
		}
	}
	// resize2fs insists on a check. It ends with 1 when it mended something, such as a journal to be replayed.
	said, err := exec.Command("e2fsck", "-f", "-p", args[0]).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return fmt.Errorf("e2fsck: %s", strings.TrimSpace(string(said)))
	}
	if said, err := exec.Command("resize2fs", args[0]).CombinedOutput(); err != nil {
		return fmt.Errorf("resize2fs: %s", strings.TrimSpace(string(said)))
	}
	file, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// held tells whether a loop device still has this very file.
func held(image string) bool {
	var stat unix.Stat_t
	if err := unix.Stat(image, &stat); err != nil {
		return false
	}
	devices, _ := filepath.Glob("/sys/block/loop*/loop")
	for _, device := range devices {
		loop, err := os.Open("/dev/" + filepath.Base(filepath.Dir(device)))
		if err != nil {
			continue
		}
		info, err := unix.IoctlLoopGetStatus64(int(loop.Fd()))
		loop.Close()
		if err == nil && info.Inode == stat.Ino && info.Device == stat.Dev {
			return true
		}
	}
	return false
}
