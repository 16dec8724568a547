// The settings page at work: shows a model's rules, sends what she changes, and says when it takes effect.
import { weather } from "./settings_switches.js";

const LEVEL_FIELDS = [
  ["min", "From"],
  ["max", "To"],
  ["time", "Seconds"],
  ["vLevel", "Vibration"],
  ["rLevel", "Rotation"],
];
const SPECIAL_NAMES = {
  earthquake: "Earthquake",
  fireworks: "Fireworks",
  wave: "Wave",
  pulse: "Pulse",
  twowaves: "Two waves",
  random: "Random",
  giveControl: "Give control",
  pause: "Pause",
  clear: "Clear queue",
};
const WATCH_MS = 3000;

const shown = JSON.parse(byId("state").textContent ?? "{}");
const root = `../../../../sandbox/models/${encodeURIComponent(shown.mToken)}`;
/** @type {ReturnType<typeof setInterval> | undefined} */
let countdown;

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} id */
function textOf(id) {
  return /** @type {HTMLInputElement} */ (byId(id)).value.trim();
}

/**
 * Asks the sandbox; what comes back always has `ok`.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function call(method, path, body) {
  try {
    const answer = await fetch(root + path, { method, body: body && JSON.stringify(body) });
    return { ok: answer.ok, ...(await answer.json()) };
  } catch {
    return { ok: false, error: "The sandbox does not answer. Is it still running?" };
  }
}

/**
 * @param {string} tag
 * @param {object} [properties]
 * @param {(Node | string)[]} children
 */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * A labelled input that knows its path among the settings, so that an error finds it.
 * @param {string} label
 * @param {string} name
 * @param {number | null} value
 */
function field(label, name, value) {
  const placeholder = name.endsWith(".max") ? "no limit" : "";
  const input = make("input", { inputMode: "numeric", autocomplete: "off", placeholder, value: value ?? "" });
  input.dataset.name = name;
  return make("label", { className: "field" }, make("span", {}, label), input);
}

/** @param {{label: string, note?: string, checked: boolean, onchange?: (on: boolean) => void}} options */
function toggle({ label, note, checked, onchange }) {
  const input = make("input", { type: "checkbox", role: "switch", checked });
  input.addEventListener("change", () => onchange?.(/** @type {HTMLInputElement} */ (input).checked));
  const words = make("span", {}, label, ...(note ? [make("small", {}, note)] : []));
  return make("label", { className: "switch" }, words, input);
}

function drawLevels(levels) {
  byId("levels").replaceChildren(...levels.map(drawLevel));
}

function drawLevel(level, index) {
  const remove = make("button", { type: "button", className: "icon", disabled: false }, "×");
  remove.setAttribute("aria-label", `Remove level ${index + 1}`);
  remove.addEventListener("click", () => {
    const levels = readLevels().filter((_, at) => at !== index);
    if (levels.length > 0) drawLevels(levels);
  });
  const fields = LEVEL_FIELDS.map(([name, label]) => field(label, `levels.${index}.${name}`, level[name]));
  return make("li", {}, make("span", { className: "no" }, String(index + 1)), ...fields, remove, error());
}

function drawSpecials(specials) {
  byId("specials").replaceChildren(...Object.entries(specials).map(drawSpecial));
}

function drawSpecial([name, { token, time, enabled }]) {
  const row = make("li", { className: enabled ? "" : "off" });
  const label = SPECIAL_NAMES[name] ?? name;
  const onchange = (/** @type {boolean} */ on) => row.classList.toggle("off", !on);
  const fields = [field("Tokens", `special.${name}.token`, token)];
  if (name !== "clear") fields.push(field("Seconds", `special.${name}.time`, time));
  row.dataset.special = name;
  row.append(toggle({ label, checked: enabled, onchange }), ...fields, error());
  return row;
}

function error() {
  const line = make("p", { className: "error" });
  line.setAttribute("role", "alert");
  return line;
}

/**
 * What stands in an input: a whole number, nothing, or the text itself for the sandbox to refuse.
 * @param {Element | null} input
 */
function read(input) {
  const text = /** @type {HTMLInputElement | null} */ (input)?.value.trim() ?? "";
  if (text === "") return null;
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function readLevels() {
  return Array.from(byId("levels").children, (row) => {
    const inputs = [...row.querySelectorAll("input")];
    return Object.fromEntries(LEVEL_FIELDS.map(([name], at) => [name, read(inputs[at])]));
  });
}

function readSpecials() {
  return Object.fromEntries(
    Array.from(byId("specials").children, (row) => {
      const name = /** @type {HTMLElement} */ (row).dataset.special ?? "";
      const { checked } = /** @type {HTMLInputElement} */ (row.querySelector("[role=switch]"));
      const [token, time = null] = [...row.querySelectorAll("input:not([role])")].map(read);
      return [name, { token, time, enabled: checked }];
    }),
  );
}

/** @param {Record<string, string>} errors */
function showErrors(errors) {
  for (const line of document.querySelectorAll("#settings .error")) line.textContent = "";
  for (const input of document.querySelectorAll("#settings [data-name]")) {
    const why = errors[/** @type {HTMLElement} */ (input).dataset.name ?? ""];
    input.removeAttribute("aria-invalid");
    if (!why) continue;
    input.setAttribute("aria-invalid", "true");
    const label = input.parentElement?.firstChild?.textContent;
    const line = /** @type {HTMLElement} */ (input.closest("li")?.querySelector(".error"));
    line.textContent = `${line.textContent ?? ""} ${label} ${why}.`.trim();
  }
  const first = /** @type {HTMLElement | null} */ (document.querySelector("#settings [aria-invalid=true]"));
  first?.focus();
}

/**
 * @param {string} words
 * @param {string} [tone]
 */
function result(words, tone = "") {
  clearInterval(countdown);
  if (tone !== "good") byId("notes").textContent = "";
  byId("result").className = tone;
  byId("result").textContent = words;
}

/**
 * Counts down to the moment when saved settings hold.
 * @param {number} seconds
 * @param {string[]} warnings
 */
function awaitEffect(seconds, warnings) {
  const due = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((due - Date.now()) / 1000);
    if (left > 0) byId("result").textContent = `Saved. Takes effect in ${left} s.`;
    else result("In effect.", "good");
  };
  result("", "good");
  byId("notes").textContent = warnings.join("\n");
  countdown = setInterval(tick, 250);
  tick();
}

/** @param {string} words */
function say(words) {
  byId("said").textContent = words;
}

/**
 * @param {{pages?: number, error?: string}} answer
 * @param {string} done
 */
function sayDone({ pages, error: why }, done) {
  if (why) say(why);
  else
    say(pages ? `${done} ${pages === 1 ? "One live page" : `${pages} live pages`} heard it.` : "No page is live now.");
}

function drawNow({ model, toys, held, pages }) {
  byId("model").textContent = model;
  byId("live").textContent = pages === 0 ? "Not live" : pages === 1 ? "Live" : `Live on ${pages} pages`;
  byId("live").classList.toggle("on", pages > 0);
  byId("pause").textContent = held ? "Resume queue" : "Pause queue";
  byId("pause").setAttribute("aria-pressed", String(held));
  if (JSON.stringify(toys) === byId("toys").dataset.drawn) return;
  byId("toys").dataset.drawn = JSON.stringify(toys);
  const rows = toys.map(({ id, type, on }) =>
    toggle({
      label: type.charAt(0).toUpperCase() + type.slice(1),
      note: id,
      checked: on,
      onchange: (now) => call("PUT", "/toys", { id, on: now }).then(watch),
    }),
  );
  byId("toys").replaceChildren(...rows);
}

async function watch() {
  const state = await call("GET", "");
  if (state.ok) drawNow(state);
}

byId("add").addEventListener("click", () => {
  const levels = readLevels();
  const top = levels.reduce((most, { min, max }) => Math.max(most, Number(max ?? min) || 0), 0);
  drawLevels([...levels, { min: top + 1, max: null, time: 10, vLevel: 10, rLevel: 0 }]);
  /** @type {HTMLElement | null} */ (document.querySelector("#levels li:last-child input"))?.focus();
});
byId("settings").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await call("PUT", "/settings", { levels: readLevels(), special: readSpecials() });
  showErrors(answer.errors ?? {});
  if (answer.ok) awaitEffect(answer.takes_effect_in, answer.warnings);
  else result(answer.errors ? "Not saved: please look at the marked fields." : answer.error, "bad");
});
byId("tip").addEventListener("submit", async (event) => {
  event.preventDefault();
  const amount = read(byId("tip-amount"));
  sayDone(await call("POST", "/tip", { tipper: textOf("tip-name"), amount }), `${amount} tokens sent.`);
});
byId("clear").addEventListener("click", async () => sayDone(await call("POST", "/clear"), "Queue cleared."));
byId("pause").addEventListener("click", async () => {
  const held = byId("pause").getAttribute("aria-pressed") === "true";
  const answer = await call("POST", held ? "/resume" : "/pause");
  sayDone(answer, held ? "Queue resumed." : "Queue paused.");
  await watch();
});

drawNow(shown);
drawLevels(shown.saved.levels);
drawSpecials(shown.saved.special);
weather(byId("switches"), byId("switched"), shown.switches, { call, make, toggle });
if (shown.takes_effect_in !== null) awaitEffect(shown.takes_effect_in, shown.warnings);
setInterval(() => document.hidden || watch(), WATCH_MS);
