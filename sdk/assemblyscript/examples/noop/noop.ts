// noop: does nothing, for measuring what that costs.
import { Event, Verdict } from "../../assembly";
export { sluice_abi_v1, sluice_buffer } from "../../assembly";

export function on_message(e: Event): Verdict {
  return Verdict.Continue;
}
