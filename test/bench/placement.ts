/**
 * placement: 10,000 hosts of 1,000 applications placed on 500 members of one cluster, explained and kept apart, and how the time of a decision grows
 * from 50 members to 500. Beside it a bare first fit, which compares two numbers of each member until one fits, keeps nothing apart and explains nothing.
 */
import { Members, type MemberView } from "../../control-plane/domain/members.ts";
import { memberPool, place, type PoolView } from "../../control-plane/domain/placement.ts";
import { type Figure, median } from "./bench.ts";

const applications = 1000;
const hosts = 10_000;
const flavours = [
  { vcpu: 1, memoryMib: 2048 },
  { vcpu: 2, memoryMib: 4096 },
  { vcpu: 4, memoryMib: 8192 },
  { vcpu: 8, memoryMib: 32_768 },
];
const flavourOf = (index: number) => flavours[(index * 7) % flavours.length]!;
const runs = 5;

/** 500 of them end up three quarters full. @param strategy of the pool */
function cluster(count: number, strategy: PoolView["strategy"]) {
  const views: MemberView[] = Array.from({ length: count }, (_, index) => ({
    server: "lxd https://cluster",
    name: `n${index}`,
    state: "online",
    groups: ["default"],
    vcpu: 96,
    memoryMib: 384_000,
    taken: { vcpu: 0, memoryMib: 0 },
  }));
  const room = 1_000_000_000;
  const capacity = { hosts: room, vcpu: room, memory_mib: room, "storage_gib:standard": room };
  const pools = ["a", "b", "c", "d"].map((code): PoolView => ({
    id: `pol_${code}`,
    code,
    kind: "compute",
    tier: "standard",
    securityLevel: code === "a" ? 3 : 2,
    zone: "extranet",
    dedicatedTo: code === "a" ? { department: "dep", application: null } : null,
    driver: "lxd",
    endpoint: "https://cluster?storage=default",
    state: "open",
    strategy,
    overcommitPercent: 100,
    vm: false,
    capacity: { ...capacity },
    free: { ...capacity },
  }));
  return { views, pools };
}

/** @returns microseconds a decision */
function ours(count: number, toPlace: number, strategy: PoolView["strategy"]): number {
  const { views, pools } = cluster(count, strategy);
  const members = new Members(views);
  const began = performance.now();
  for (let index = 0; index < toPlace; index++) {
    const flavour = flavourOf(index);
    const application = `app_${index % applications}`;
    const owner = { application, departments: ["dep"], protectionLevel: 3, zone: "extranet" as const };
    const needs = [
      { dimension: "vcpu" as const, quantity: flavour.vcpu },
      { dimension: "memory_mib" as const, quantity: flavour.memoryMib },
    ];
    const placed = place({ kind: "compute", owner, needs, host: { vm: false, ...flavour, apart: "preferred" } }, pools, members);
    if (!placed.pool || placed.member === undefined) throw new Error(`host ${index} was not placed: ${placed.reason}`);
    for (const { dimension, quantity } of needs) placed.pool.free[dimension]! -= quantity;
    members.take(memberPool(placed.pool), placed.member, { application, ...flavour });
  }
  return ((performance.now() - began) * 1000) / toPlace;
}

function firstFit(count: number, toPlace: number): number {
  const { views } = cluster(count, "spread");
  const began = performance.now();
  for (let index = 0; index < toPlace; index++) {
    const { vcpu, memoryMib } = flavourOf(index);
    const found = views.find((one) => one.taken.vcpu + vcpu <= one.vcpu! && one.taken.memoryMib + memoryMib <= one.memoryMib!);
    if (!found) throw new Error(`host ${index} found no place`);
    found.taken.vcpu += vcpu;
    found.taken.memoryMib += memoryMib;
  }
  return ((performance.now() - began) * 1000) / toPlace;
}

export function placementFigures(): Figure[] {
  const shares = { small: 50, large: 500 };
  const measured = (["spread", "pack"] as const).map((strategy) => {
    const rounds = Array.from({ length: runs }, () => ({
      // As full at the end as the large one, so that only the number of members differs.
      small: ours(shares.small, hosts / 10, strategy),
      large: ours(shares.large, hosts, strategy),
      bare: firstFit(shares.large, hosts),
    }));
    const of = (key: keyof (typeof rounds)[number]) => median(rounds.map((one) => one[key]));
    return { strategy, small: of("small"), large: of("large"), bare: of("bare") };
  });
  return measured.map(({ strategy, small, large, bare }) => ({
    name: `placement-${strategy}`,
    ratio: large / small,
    goal: 10,
    unit: "times as long a decision with ten times the members",
    detail: `${hosts} hosts of ${applications} applications on ${shares.large} members: ${large.toFixed(1)} µs a decision, with ${shares.small} members ${small.toFixed(1)} µs; a bare first fit on ${shares.large}, nothing kept apart or explained: ${bare.toFixed(1)} µs (ours ${(large / bare).toFixed(1)} times that); median of ${runs}`,
  }));
}
