import { describe, expect, it } from "vitest";
import { clientAddress, trustedProxies } from "../../../control-plane/domain/client-address.ts";

describe("where a call came from", () => {
  const trusts = trustedProxies(["10.0.0.0/8", "192.168.1.1", "fd00::/8"]);
  const from = (remote: string, forwarded?: string) => clientAddress(remote, forwarded, trusts);

  it("is the other end of the connection, whatever that says, unless it is a trusted proxy", () => {
    expect(from("203.0.113.9")).toBe("203.0.113.9");
    expect(from("203.0.113.9", "1.2.3.4")).toBe("203.0.113.9");
    expect(from("::ffff:203.0.113.9", "1.2.3.4")).toBe("203.0.113.9");
    expect(clientAddress("10.0.0.1", "1.2.3.4", trustedProxies([]))).toBe("10.0.0.1");
  });

  it("is what the trusted proxies saw, read from the end", () => {
    expect(from("10.0.0.1", "1.2.3.4")).toBe("1.2.3.4");
    expect(from("::ffff:10.0.0.1", "9.9.9.9, 1.2.3.4")).toBe("1.2.3.4");
    expect(from("10.0.0.1", "9.9.9.9, 1.2.3.4, 192.168.1.1")).toBe("1.2.3.4");
    expect(from("fd00::1", "2001:db8::5")).toBe("2001:db8::5");
    expect(from("10.0.0.1", "1.2.3.4:5678")).toBe("1.2.3.4");
    expect(from("10.0.0.1", "[2001:db8::5]:443")).toBe("2001:db8::5");
    expect(from("10.0.0.1", "10.0.0.2, 10.0.0.3")).toBe("10.0.0.2");
  });

  it("is the last that is known where a proxy says no address", () => {
    expect(from("10.0.0.1", "unknown")).toBe("10.0.0.1");
    expect(from("10.0.0.1", "<script>, 10.0.0.2")).toBe("10.0.0.2");
    expect(from("10.0.0.1", "")).toBe("10.0.0.1");
    expect(from("local")).toBe("local");
  });

  it.each(["10.0.0.0/33", "fd00::/129", "proxy", "10.0.0.0/8/8", "10.0.0.0/x", ""])("refuses %j as a network", (network) => {
    expect(() => trustedProxies([network])).toThrow("is no address and no network");
  });
});
