// zyguest is the embedded driver's one small program: outside it launches hosts and mounts volumes,
// inside a host it is /sbin/init and the few tools of the image.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if os.Args[0] == initPath {
		runInit()
		return
	}
	name := filepath.Base(os.Args[0])
	if tool, known := tools[name]; known {
		os.Exit(tool(os.Args[1:]))
	}
	commands := map[string]func([]string) error{
		"launch": launch, "setup": setup, "attach": attach, "detach": detach, "archive": archive, "restore": restore, "extract": extractTo,
		"image-make": makeImage, "image-mount": mountImage, "image-unmount": unmountImage, "image-grow": growImage, "image-grow-unmounted": growUnmounted,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("usage: zyguest launch|attach|detach|archive|restore|extract|image-make|image-mount|image-unmount|image-grow|image-grow-unmounted"))
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
