/**
 * A chainer in a process of its own, beside writers, to be killed. Arguments: the database's URL ("" for PGlite), the data directory, the step
 * and how often that is passed before the process kills itself (kill -9).
 */
import { openDatabase } from "../../../control-plane/store/database.ts";
import { appendMany, chainerOf } from "./support.ts";

const [url = "", directory = "", step = "", times = "1"] = process.argv.slice(2);
const { db } = await openDatabase({ url: url || undefined, directory });
let passed = 0;
const chainer = chainerOf(db, {
  onStep: (one) => {
    if (one === step && ++passed === Number(times)) process.kill(process.pid, "SIGKILL");
  },
});
for (;;) {
  await Promise.all([3, 4, 5].map((number) => appendMany(db, number)));
  await chainer.round();
}
