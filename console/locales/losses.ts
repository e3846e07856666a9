/** Words for what a pool's policy does about hosts whose member doesn't answer. */
import { msg } from "@lit/localize";
import type { MemberLossAction } from "../../control-plane/contract/pools.ts";

export const lossPolicyNames: Record<MemberLossAction, () => string> = {
  wait: () => msg("等待", { id: "on-loss-wait" }),
  propose: () => msg("提出放弃节点", { id: "on-loss-propose" }),
  restart: () => msg("在其他节点启动", { id: "on-loss-restart" }),
};
