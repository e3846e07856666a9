/** What of a member that was given up is asked for anew: hosts from their images, their volumes from the newest backups. Decided on as every request is. */
import type { Item } from "../contract/requests.ts";
import { dayOf } from "../domain/working-days.ts";
import type { LossRow, LostThing } from "./losses.ts";
import type { Intended } from "./reclaiming.ts";

export function intendAnew(hosts: readonly LostThing[], { member }: Pick<LossRow, "member">, now: Date): Intended[] {
  const groups = Map.groupBy(
    hosts.filter((host) => host.remedy !== "none"),
    (host) => `${host.about} ${host.application} ${host.project}`,
  );
  return [...groups.values()].map((of) => {
    const [first] = of as [LostThing];
    const without = hosts.filter((host) => host.application === first.application && host.remedy === "none");
    const volumes = of.flatMap((host) => host.lost.map((volume) => ({ host, volume })));
    return {
      origin: "member-lost",
      about: first.about,
      application: first.application,
      project: first.project,
      department: first.department,
      title: `节点失联，异地重建 / Made anew, its member is lost: ${first.number}`,
      reason: [
        `节点 ${member} 失联并已移出集群，其本地存储不可用：主机由镜像重建 / Member ${member} was lost and given up, with what lay on its own storage: hosts are made anew from their images. ${of.map((host) => host.name).join(", ")}`,
        ...volumes.map(({ volume }) => `${volume.name}: 备份 / backup ${volume.backup!.at}`),
        ...(without.length > 0 ? [`无备份，未列入 / not in it, for want of a backup: ${without.map((host) => host.name).join(", ")}`] : []),
      ].join("\n"),
      items: of.flatMap((host) => itemsOf(host, now)),
    };
  });
}

function itemsOf(host: LostThing, now: Date): Item[] {
  const retire = (kind: "attachment" | "backup-policy" | "volume", id: string) => ({ action: "retire" as const, kind, id, spec: {} });
  const anew = host.lost.map((volume) => ({ ...volume, anew: `${volume.name.slice(0, 50)}-${dayOf(now).replaceAll("-", "")}` }));
  return [
    ...anew.flatMap((volume) => [
      retire("attachment", volume.attachment),
      ...volume.policies.map((id) => retire("backup-policy", id)),
      retire("volume", volume.id),
    ]),
    { action: "redeploy", kind: "host", id: host.id, spec: {} },
    ...anew.flatMap((volume): Item[] => [
      { action: "create", kind: "volume", spec: { name: volume.anew, sizeGib: volume.sizeGib, tier: volume.tier as "standard", backup: volume.backup!.id } },
      { action: "create", kind: "attachment", spec: { host: host.id, volume: volume.anew, path: volume.path } },
    ]),
  ];
}
