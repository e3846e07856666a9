import { openAsBlob } from "node:fs";
import { resolve } from "node:path";
import { defineCommand } from "citty";
import { buildDebianImage } from "../../../infra/drivers/lxd/debian.ts";
import type { StoredImage } from "../../contract/images.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { bytes, localTime, showOne } from "../output.ts";
import { waitFor } from "../wait.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/images";
const code = { type: "positional", required: true, description: "Name by which it is asked for, such as debian-12-20261124" } as const;
const whereTo = ({ pools }: StoredImage) => pools.map(({ pool, state, error }) => `${pool} ${state}${error === null ? "" : ` (${error})`}`).join(", ");

export const image = defineCommand({
  meta: { name: "image", description: "Images (镜像): built from a package mirror, imported from files" },
  subCommands: {
    list: listCommand<StoredImage>({
      noun: "images that came as files",
      path,
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "name", value: (row) => row.name },
        { title: "size", value: (row) => bytes(row.sizeBytes) },
        { title: "SHA-256", value: (row) => row.sha256.slice(0, 12) },
        { title: "imported", value: (row) => localTime(row.createdAt) },
        { title: "withdrawn", value: (row) => localTime(row.withdrawnAt) },
        { title: "pools", value: whereTo },
      ],
    }),
    show: showCommand("images", path),
    build: defineCommand({
      meta: { name: "build", description: "Build a Debian with cloud-init and SSH from a package mirror, as a file (as root; needs mmdebstrap)" },
      args: {
        out: { type: "positional", required: true, description: "File to write, such as debian-12.tar.gz" },
        suite: { type: "string", default: "bookworm", description: "Release of Debian" },
        mirror: { type: "string", description: "URL of the package mirror, or a file like sources.list; left out: deb.debian.org" },
        include: { type: "string", default: "", description: "More packages, with commas" },
      },
      async run({ args }) {
        const include = args.include.split(",").filter(Boolean);
        const out = resolve(args.out);
        await buildDebianImage({ suite: args.suite, mirror: args.mirror, include, out }, (line) => console.error(line));
        console.log(out);
      },
    }),
    import: defineCommand({
      meta: { name: "import", description: "Import an image from a file; with --wait until it is on every compute pool that can have it" },
      args: {
        code,
        file: { type: "positional", required: true, description: "LXD's unified tarball, as `image build` makes it" },
        name: { type: "string", description: "What people call it; left out: as its code" },
        wait: { type: "boolean", default: false, description: "Wait until it has been brought everywhere" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const one = `${path}/${encodeURIComponent(args.code)}`;
        await client.send("PUT", one, { body: await openAsBlob(args.file), query: { name: args.name ?? args.code } });
        const last = await waitFor(
          () => client.get<StoredImage>(one),
          ({ pools }) => !args.wait || pools.every(({ state }) => state !== "pending"),
          { timeoutMs: 1_800_000 },
        );
        showOne(last, args.json);
        if (last?.pools.some(({ state }) => state === "failed")) process.exitCode = 1;
      },
    }),
    withdraw: defineCommand({
      meta: { name: "withdraw", description: "Nobody can ask for it any more; hosts that were made from it go on" },
      args: { code },
      run: ({ args }) => clientFromEnvironment().delete(`${path}/${encodeURIComponent(args.code)}`),
    }),
  },
});
