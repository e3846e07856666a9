/** Between Pulumi's property structs and plain values: secrets are unwrapped on the way in and wrapped on the way out. */
import structs from "google-protobuf/google/protobuf/struct_pb.js";
import type { JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb.js";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
/** How a value that a preview cannot know yet looks. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export type Properties = Record<string, unknown>;

function unwrap(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrap);
  if (value === null || typeof value !== "object") return value;
  const object = value as Properties;
  if (object[SIGNATURE] === SECRET) return unwrap(object["value"]);
  return Object.fromEntries(
    Object.entries(object)
      .filter(([, v]) => v !== null)
      .map(([key, v]) => [key, unwrap(v)]),
  );
}

/** Plain values of a property struct; nulls (Pulumi's absent) are dropped. */
export function fromWire(struct: Struct | undefined): Properties {
  return struct ? (unwrap(struct.toJavaScript()) as Properties) : {};
}

/** A property struct of plain values; those named in `secrets` are marked, so that the engine encrypts them in state. */
export function toWire(properties: Properties, secrets: readonly string[] = []): Struct {
  const entries = Object.entries(properties).filter(([, value]) => value !== undefined);
  return structs.Struct.fromJavaScript(
    Object.fromEntries(entries.map(([key, value]) => [key, secrets.includes(key) ? { [SIGNATURE]: SECRET, value } : value])) as Record<string, JavaScriptValue>,
  );
}

/** Whether a preview does not know this value, or some part of it. */
export function isUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  return value !== null && typeof value === "object" && Object.values(value).some(isUnknown);
}
