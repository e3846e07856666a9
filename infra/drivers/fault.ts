/** Named points at which fault tests end this process, as kill -9 would. Without ZHENGYUN_FAULT it does nothing. */
export function fault(point: string): void {
  if (process.env["ZHENGYUN_FAULT"] === point) process.kill(process.pid, "SIGKILL");
}
