/** Words for operation plans and their steps. */
import { msg } from "@lit/localize";

const names: Record<string, () => string> = {
  "drain-member": () => msg("腾空服务器", { id: "o-drain" }),
  "restore-member": () => msg("恢复服务器", { id: "o-restore" }),
  "replace-member": () => msg("更换服务器", { id: "o-replace" }),
  rebalance: () => msg("均衡资源池", { id: "o-rebalance" }),
  "move-host": () => msg("迁移主机", { id: "o-move-host" }),
  "move-volume": () => msg("迁移存储卷", { id: "o-move-volume" }),
  "restart-lost": () => msg("在其他节点启动失联主机", { id: "o-restart-lost" }),
  "restart-host": () => msg("在其他节点启动", { id: "o-restart-host" }),
  "close-member": () => msg("停止接收新主机", { id: "o-close" }),
  "open-member": () => msg("重新接收主机", { id: "o-open" }),
};
export const operationName = (kind: string): string => names[kind]?.() ?? kind;
