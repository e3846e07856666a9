/** From a package mirror to a shell: an image is built and imported, a department's host boots from it, gets its address, and its owner signs in. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiProblem } from "../../control-plane/cli/client.ts";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { StoredImage } from "../../control-plane/contract/images.ts";
import { openChromium, picture, signedIn } from "../setup/chromium.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { type Lxd, startLxd } from "../setup/lxd.ts";
import { host, smallCity } from "../setup/small-city.ts";

const main = resolve(import.meta.dirname, "../../control-plane/cli/main.ts");
const address = "10.77.0.20";

describe("an image", { timeout: 240_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "zy-images-"));
  const [tarball, key] = [join(directory, "debian.tar.gz"), join(directory, "id")];
  let lxd: Lxd;
  let plane: TestPlane;
  beforeAll(async () => {
    spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    lxd = await startLxd(1, true);
    plane = new TestPlane("pglite", undefined, lxd.endpoint);
    await plane.start();
    await plane.fill(smallCity({ driver: "lxd", endpoint: lxd.endpoint }));
  });
  afterAll(async () => {
    await plane?.remove();
    await lxd?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** `zhengyun …` as operations staff call it. */
  function zhengyun(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return new Promise((done) => {
      const child = spawn(process.execPath, [main, ...args], {
        env: { ...process.env, ZHENGYUN_URL: plane.operations.url, ZHENGYUN_TOKEN: plane.token },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
      child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
      child.once("close", (code) => done({ code, stdout, stderr }));
    });
  }
  const shown = (code: string) => plane.operations.get<StoredImage>(`/api/v1/images/${code}`);
  const put = (code: string, content: Buffer) =>
    plane.operations.send("PUT", `/api/v1/images/${code}`, { body: new Blob([new Uint8Array(content)]), query: { name: code } }).then(
      (answer) => answer.status,
      (error: unknown) => (error as ApiProblem).problem.code,
    );
  const ask = (name: string, image: string, more: object = {}) => plane.ask([{ ...host(name), spec: { ...host(name).spec, image, ...more } }]);

  it("is built from the package mirror, imported, and boots with name, address, keys and user data", async () => {
    const built = await zhengyun("image", "build", tarball);
    expect(built.code, built.stderr).toBe(0);
    // Keys that all hosts would share don't come along.
    expect(spawnSync("tar", ["tzf", tarball], { encoding: "utf8", maxBuffer: 2 ** 28 }).stdout).not.toContain("ssh_host_");

    const imported = await zhengyun("image", "import", "debian-12", tarball, "--name", "Debian 12", "--wait", "--json");
    expect(imported.code, imported.stderr).toBe(0);
    expect((JSON.parse(imported.stdout) as StoredImage).pools).toEqual([{ pool: "compute", state: "imported", error: null }]);

    const userData = "#cloud-config\nwrite_files: [{ path: /root/hello, content: 政云 }]\n";
    const { id } = await ask("web", "debian-12", { sshKeys: [readFileSync(`${key}.pub`, "utf8").trim()], addresses: [address], userData });
    await plane.approve(id);
    const done = await plane.settled(id);
    expect(done.state, plane.output.slice(-3000)).toBe("active");
    const name = done.items[0]!.resource ?? "";
    const ran = await waitFor(
      () => plane.driver.exec(name, ["systemctl", "is-system-running", "--wait"]),
      ({ stdout }) => /running|degraded/.test(stdout),
      { timeoutMs: 60_000 },
    );
    expect(ran.stdout.trim()).toBe("running");
    expect((await plane.driver.observe()).hosts.find((one) => one.name === name)?.addresses).toContain(address);
    const ssh = lxd.members[0]!.inNetwork("ssh", [
      "-i",
      key,
      "-oStrictHostKeyChecking=no",
      `-oUserKnownHostsFile=${join(directory, "known")}`,
      "-oConnectTimeout=10",
      `root@${address}`,
      "hostname; cat /root/hello",
    ]);
    expect(ssh.stdout, ssh.stderr).toBe("web\n政云");
  });

  it("keeps its name for its content, is there once, and is withdrawn", async () => {
    const content = readFileSync(tarball);
    expect(await put("debian-12", content)).toBe(200);
    expect(await put("debian-12", Buffer.concat([content, Buffer.from("x")]))).toBe("conflict");
    expect(await put("zhengyun-base-1", content)).toBe("conflict");
    expect(await put("text", Buffer.from("this is no tarball"))).toBe("invalid-body");
    expect((await plane.operations.get<{ items: StoredImage[] }>("/api/v1/images")).items.map((one) => one.code)).toEqual(["debian-12"]);
    await expect(plane.applicant.send("PUT", "/api/v1/images/mine", { body: new Blob(["x"]), query: { name: "x" } })).rejects.toThrow(ApiProblem);

    expect((await zhengyun("image", "withdraw", "debian-12")).code).toBe(0);
    expect((await shown("debian-12")).withdrawnAt).not.toBeNull();
    await expect(ask("another", "debian-12")).rejects.toMatchObject({ problem: { errors: [{ pointer: expect.stringContaining("image") }] } });
  });

  it("is imported in the console, which says where it is and why it is not", async () => {
    const file = join(directory, "no-image.tar.gz");
    writeFileSync(file, Buffer.concat([Buffer.from("1f8b0800", "hex"), Buffer.alloc(1000)]));
    const browser = await openChromium();
    try {
      const page = await signedIn(browser, plane.operations);
      await page.getByRole("link", { name: "镜像" }).click();
      await page.getByRole("row", { name: /debian-12.*已停用/ }).waitFor();
      await page.getByLabel("代码").fill("no-image");
      await page.getByLabel("名称").fill("不完整的镜像");
      await page.getByLabel("文件").setInputFiles(file);
      await page.getByRole("button", { name: "导入" }).click();
      await page.getByRole("row", { name: /no-image/ }).waitFor();
      await waitFor(
        () => shown("no-image"),
        ({ pools }) => pools[0]!.state !== "pending",
        { timeoutMs: 60_000 },
      );
      await page.getByRole("button", { name: "刷新" }).click();
      await page.getByText("✕ 失败").waitFor();
      await picture(page, "images-zh");
    } finally {
      await browser.close();
    }
  });

  it("comes to the server though the control plane is killed when it is half there, and one that the server refuses says why", async () => {
    // What LXD cannot unpack.
    const broken = join(directory, "broken.tar.gz");
    writeFileSync(broken, Buffer.concat([Buffer.from("1f8b0800", "hex"), Buffer.alloc(1000)]));
    const refused = await zhengyun("image", "import", "broken", broken, "--wait", "--json");
    expect(refused.code).toBe(1);
    expect((JSON.parse(refused.stdout) as StoredImage).pools[0]).toMatchObject({ state: "failed", error: expect.any(String) });

    await plane.kill();
    await plane.start({ ZHENGYUN_FAULT: "image.imported" });
    await put("debian-again", readFileSync(tarball));
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start();
    const last = await waitFor(
      () => shown("debian-again"),
      ({ pools }) => pools[0]!.state !== "pending",
      { timeoutMs: 60_000 },
    );
    expect(last.pools[0]!.state).toBe("imported");
  });
});
