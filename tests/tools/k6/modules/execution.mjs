// k6/execution: which iteration of which scenario this is.
import { state } from "../state.mjs";

export const scenario = {
  get name() { return state.scenario.name; },
  get executor() { return state.scenario.executor; },
  get iterationInTest() { return state.test; },
};
export const vu = {
  get idInTest() { return state.vu; },
  get iterationInScenario() { return state.iteration; },
};

export default { scenario, vu };
