export { startShells, type Shells } from "./shells.ts";
