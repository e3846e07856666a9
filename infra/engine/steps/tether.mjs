/** Preloaded by `launch`: asks this process to end (SIGTERM) when the one that started it is gone. */
import { Socket } from "node:net";

const descriptor = Number(process.env.ZHENGYUN_TETHER);
// Programs that this one starts have no such descriptor.
delete process.env.ZHENGYUN_TETHER;

if (descriptor) {
  const pipe = new Socket({ fd: descriptor, readable: true, writable: false });
  pipe.on("close", () => process.kill(process.pid, "SIGTERM"));
  pipe.on("error", () => {});
  pipe.resume();
  pipe.unref();
}
