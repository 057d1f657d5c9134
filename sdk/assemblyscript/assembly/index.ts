/**
 * Write Sluice filters in AssemblyScript.
 *
 *     import { Code, Event, Verdict } from "./sluice";
 *     export { sluice_abi_v1, sluice_buffer } from "./sluice";
 *
 *     export function on_message(e: Event): Verdict {
 *       if (e.payload.length > 1000) return e.deny(Code.TooLarge, "too long");
 *       return Verdict.Continue;
 *     }
 *
 * The second line is part of every filter: only what its own file exports
 * becomes an export of the module. ABI.md is the normative text of what is
 * declared here.
 */
export { sluice_abi_v1, sluice_buffer } from "./memory";
export { Bytes } from "./bytes";
export { Text, text } from "./text";
export { Cause, Code, Event, Hook, Kind, Lookup, Max, Meta, MetaKind, Verdict } from "./event";
export { Failed, Level, Verified, bucketTake, counterAdd, fillRandom, kvGet, kvSet, log, metricAdd, now, random, verify } from "./host";
export { Json } from "./json";
export { patternFault, patternIsDeep, patternMatches } from "./rooms";
