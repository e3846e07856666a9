/** Compares what drivers list with what the database knows. Reads and records; deletes nothing at any driver. */
import { poolEndpoints } from "../store/estates.ts";
import { type Listing, recordListings } from "../store/unknown.ts";
import { change, type JobContext } from "./context.ts";

export async function compareDrivers(context: JobContext): Promise<void> {
  const endpoints = new Map((await poolEndpoints(context.db)).map((one) => [`${one.driver} ${one.endpoint}`, one]));
  const listings: Listing[] = [];
  for (const { driver, endpoint } of endpoints.values()) {
    try {
      listings.push({ driver, endpoint, things: await context.driver(driver, endpoint).list() });
    } catch (error) {
      context.log.warn({ driver, endpoint, error: String(error) }, "an endpoint could not be compared");
    }
  }
  // A thing that is made while this runs is known before it is there: its row is committed first.
  await change(context, (tx, act) => recordListings(tx, listings, act.now, listings.length === endpoints.size));
}
