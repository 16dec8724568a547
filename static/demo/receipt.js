// The receipt: where a tip is on its way, and its timeline with who says so and on what evidence.
import { make } from "./dom.js";
import { specialName, tokens } from "./menu.js";
import { inBrief, isOpen, tone } from "./words.js";

const STATIONS = ["accepted", "sent", "played", "running", "done"];
const REACHED = /** @type {Record<string, number>} */ ({
  accepted: 0,
  sent: 1,
  played: 2,
  queued: 2,
  running: 3,
  done: 4,
});
// Evidence names its source by its fields: the vendor knows names and amounts, the page acknowledges.
const WITNESSES = [
  ["amount", "vendor"],
  ["ack", "page"],
  ["journal", "page's journal"],
];
const DOTS = /** @type {Record<string, string>} */ ({ bad: "wrong", "": "muted" });

/**
 * @typedef {{status: string, at: string, why: string, evidence: Record<string, any> | null}} Step
 * @typedef {{id: string, status: string, tipper: string, shown_as: string, amount: number, anonymous: boolean,
 *   private: boolean, accepted_at: string, timeline: Step[]}} Receipt
 */

/**
 * @param {HTMLElement} paper
 * @param {HTMLElement} news says each new state to who listens instead of looking
 */
export function createPaper(paper, news) {
  let shown = { id: "", steps: 0, status: "" };
  /** @type {HTMLElement} */
  let head;
  /** @type {HTMLElement} */
  let rail;
  /** @type {HTMLElement} */
  let steps;

  /** @param {Receipt} receipt */
  return function show(receipt) {
    const { id, status, timeline } = receipt;
    if (id !== shown.id) {
      head = make("div");
      rail = make("ol", { class: "rail", "aria-hidden": "true" });
      rail.append(...STATIONS.map((station) => make("li", {}, station)));
      steps = make("ol", { class: "steps", "aria-label": "Timeline" });
      paper.replaceChildren(head, rail, steps);
      shown = { id, steps: 0, status: "" };
    }
    if (timeline.length < shown.steps) return; // an older answer that came late
    head.replaceChildren(...heading(receipt));
    mark(rail, receipt);
    const known = shown.steps;
    for (const [index, step] of timeline.entries()) {
      if (index < known) continue;
      const line = stepLine(step, index, Date.parse(receipt.accepted_at));
      if (known > 0) line.classList.add("new");
      steps.append(line);
    }
    if (known > 0 && timeline.length > known) paper.scrollTop = paper.scrollHeight;
    if (status !== shown.status) news.textContent = `Tip of ${tokens(receipt.amount)}: ${inBrief(status)}`;
    shown = { id, steps: timeline.length, status };
  };
}

/** @param {Receipt} receipt */
function heading(receipt) {
  const { id, amount, status, tipper, shown_as: alias } = receipt;
  const pill = make("span", { class: `pill ${tone(status)} ${isOpen(status) ? "live" : ""}` }, inBrief(status));
  const sum = make("b", {}, tokens(amount), make("span", {}, ` from ${tipper || alias}`));
  const notes = [receipt.anonymous ? `the room sees ${alias}` : "", receipt.private ? "not shown to the room" : ""];
  const about = make(
    "p",
    { class: "about" },
    make("code", {}, id),
    ...notes.filter(Boolean).map((note) => ` · ${note}`),
  );
  return [make("div", { class: "sum" }, sum, pill), about];
}

/**
 * @param {HTMLElement} rail
 * @param {Receipt} receipt
 */
function mark(rail, { status, timeline }) {
  const furthest = Math.max(...timeline.map((step) => REACHED[step.status] ?? 0));
  const reached = REACHED[status] ?? furthest;
  for (const [index, station] of [...rail.children].entries()) {
    station.classList.toggle("past", index <= reached);
    station.classList.toggle("here", index === reached);
    station.classList.toggle("open", index === reached && isOpen(status));
  }
}

/**
 * @param {Step} step
 * @param {number} index
 * @param {number} start milliseconds since 1970
 */
function stepLine({ status, at, why, evidence }, index, start) {
  const line = make("li", { "data-status": status });
  const dot = status === "uncertain" ? "doubt" : isOpen(status) || status === "done" ? "" : DOTS[tone(status)];
  if (dot) line.classList.add(dot);
  const clock = new Date(at).toLocaleTimeString([], { hour12: false });
  const time = make("time", { datetime: at, title: at }, index === 0 ? clock : offset(Date.parse(at) - start));
  const word = inBrief(status);
  const name = make("b", {}, word.charAt(0).toUpperCase() + word.slice(1));
  const [, witness] = WITNESSES.find(([key]) => key in (evidence ?? {})) ?? [];
  if (witness) name.append(make("small", {}, ` the ${witness} says so`));
  line.append(time, name, make("p", {}, why));
  const proofs = Object.entries(evidence ?? {}).map(([key, value]) => proof(key, value));
  const told = proofs.filter((text) => text !== "").map((text) => make("span", {}, text));
  if (told.length > 0) line.append(make("div", { class: "proof" }, ...told));
  return line;
}

/**
 * @param {string} key
 * @param {any} value
 */
function proof(key, value) {
  if (value === null || value === "") return "";
  if (key === "seconds") return `${value} s`;
  if (key === "special") return specialName(value);
  if (key === "amount") return tokens(value);
  if (key === "expires_at") return `until ${new Date(value).toLocaleTimeString([], { hour12: false })}`;
  return `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`;
}

/** @param {number} ms */
function offset(ms) {
  if (ms < 1000) return `+${ms} ms`;
  return ms < 60_000 ? `+${(ms / 1000).toFixed(2)} s` : `+${(ms / 60_000).toFixed(1)} min`;
}
