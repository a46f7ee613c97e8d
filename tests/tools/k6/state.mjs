// What the modules of one virtual user share; each has a thread, and so a copy of its own.
export const state = {
  port: null, // to the main thread, which sends the requests
  shared: null, // where it puts their answers
  vu: 0,
  iteration: 0, // of this virtual user
  test: 0, // of the scenario
  scenario: null, // { name, executor }
  groups: [],
  samples: [], // [metric, type, value, tags], sent with the iteration's end
  metrics: new Map(), // type of each metric that the script makes
};

export function sample(name, type, value, tags) {
  if (!state.scenario) {
    return; // the init context measures nothing
  }
  state.samples.push([name, type, value, {
    scenario: state.scenario.name,
    group: state.groups.length ? `::${state.groups.join("::")}` : "",
    ...tags,
  }]);
}
