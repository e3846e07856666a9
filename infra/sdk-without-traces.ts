/**
 * Takes from the SDK what it does for people who debug a program of their own: a stack trace for each of some sixty
 * promises a resource (to tell a leaked one at the exit of a process that ends with its program; ours goes on), and the
 * place in our own source that each resource was made at, which the engine would keep in the state. Together a third of
 * the worker's CPU time (decision 0012). Not in the SDK's types.
 */
import * as pulumi from "@pulumi/pulumi";
import debuggable from "@pulumi/pulumi/runtime/debuggable.js";

export function dropTraces(): void {
  (debuggable as { debuggablePromise: <T>(promise: Promise<T>) => Promise<T> }).debuggablePromise = (promise) => promise;
  (pulumi.Resource as unknown as { stackTrace: () => [] }).stackTrace = () => [];
}
