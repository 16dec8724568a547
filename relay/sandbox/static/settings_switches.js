// The switches on the sandbox's pages: one control for each, which tells the sandbox as soon as it is changed.

const CONTROLS = [
  ["listeners", "A second listener", ["append", "replace"]],
  ["receive_tip", "receiveTip", ["ok", "throws", "rejects", "missing"]],
  ["get_toys", "getToys returns", ["array", "map", "json", "promise", "null"]],
  ["global", "Global name (next load)", ["lovense", "Lovense"]],
  ["script_delay", "Script answers after, seconds", "number"],
  ["ready_delay", "Global appears after, seconds", "number"],
  ["script_missing", "Script is missing", "flag"],
  ["script_broken", "Script throws", "flag"],
  ["echo", "Echo cParameter", "flag"],
  ["announce", "Announcements", "flag"],
  ["queue_events", "Queue events", "flag"],
];

/**
 * @param {HTMLElement} place
 * @param {HTMLElement} said
 * @param {Record<string, any>} switches
 * @param {{call: Function, make: Function, toggle: Function}} tools
 * @param {(string | string[])[][]} controls
 */
export function weather(place, said, switches, { call, make, toggle }, controls = CONTROLS) {
  /** @param {string} name @param {unknown} value */
  const set = async (name, value) => {
    const answer = await call("PUT", "/switches", { [name]: value });
    said.textContent = answer.ok ? "Switched." : answer.error;
  };

  /** @param {string} name @param {string} label @param {string | string[]} kind */
  function control(name, label, kind) {
    const value = switches[name];
    if (kind === "flag") return toggle({ label, checked: value, onchange: (on) => set(name, on) });
    const input =
      kind === "number"
        ? make("input", { type: "number", min: 0, max: 60, step: 0.1, value })
        : make("select", {}, ...kind.map((choice) => new Option(choice, choice, false, choice === value)));
    input.addEventListener("change", () => set(name, kind === "number" ? Number(input.value) : input.value));
    return make("label", { className: "field" }, label, input);
  }

  place.replaceChildren(...controls.map(([name, label, kind]) => control(name, label, kind)));
}
