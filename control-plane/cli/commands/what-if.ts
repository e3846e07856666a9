/** What a request would do, for people. */
import type { WhatIf } from "../../contract/what-if.ts";
import { show } from "../output.ts";

const outcomes = { fits: "It fits.", waits: "It would wait for capacity.", refused: "It would be refused." };
const left = (amount: number | null) => amount ?? "no limit";

export function printWhatIf(prospect: WhatIf): void {
  show(
    prospect.items,
    [
      { title: "#", value: (row) => row.position },
      { title: "action", value: (row) => row.action },
      { title: "kind", value: (row) => row.kind },
      { title: "name", value: (row) => row.name },
      { title: "charge", value: (row) => row.charge.map((one) => `${one.dimension} ${one.quantity}`).join(", ") },
      { title: "pool", value: (row) => row.placement?.pool ?? "" },
    ],
    false,
  );
  console.log();
  if (prospect.transfer) {
    const { from, to, resources, accounts } = prospect.transfer;
    console.log(
      `From ${from.departmentName} (${from.projectCode}) to ${to.departmentName} (${to.projectCode}): ${resources.length} resources, with their backups.`,
    );
    for (const { departmentName, charge } of accounts)
      console.log(`  ${departmentName}: ${charge.map((one) => `${one.dimension} ${one.quantity > 0 ? "+" : ""}${one.quantity}`).join(", ")}`);
    console.log();
  }
  show(
    prospect.accounts,
    [
      { title: "department", value: (row) => row.departmentName },
      { title: "dimension", value: (row) => (row.level === 0 ? row.dimension : `${row.dimension} (level ${row.level})`) },
      { title: "limit", value: (row) => row.limit },
      { title: "asked", value: (row) => row.asked },
      { title: "left", value: (row) => left(row.leftBefore) },
      { title: "left after", value: (row) => left(row.leftAfter) },
      { title: "borrowed after", value: (row) => row.borrowedAfter || "" },
      { title: "", value: (row) => (!row.fits ? `too much; raised by ${row.raisedBy}` : row.overSoftLimit ? `over the soft limit of ${row.softLimit}` : "") },
    ],
    false,
  );
  if (prospect.cost) console.log(`\nTo the end of the fiscal year: ${(prospect.cost.amountFen / 100).toFixed(2)} yuan.`);
  for (const shortage of prospect.shortages) console.log(`Capacity: ${shortage}`);
  for (const problem of prospect.problems) console.log(`${problem.detail}${problem.remedy ? `\n  ${problem.remedy}` : ""}`);
  console.log(`\n${outcomes[prospect.outcome]}`);
}
