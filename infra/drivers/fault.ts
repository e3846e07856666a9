/** Named points at which fault tests end this process, as kill -9 would. Without ZHENGYUN_FAULT it does nothing. */
export function fault(point: string): void {
  if (process.env["ZHENGYUN_FAULT"] === point) process.kill(process.pid, "SIGKILL");
}

/** The same for another process that this one runs. */
export function faultOf(point: string, pid: number | undefined): void {
  if (process.env["ZHENGYUN_FAULT"] === point && pid !== undefined) process.kill(pid, "SIGKILL");
}
