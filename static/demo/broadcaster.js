// The broadcaster's page around the shim: what it says, what the vendor's queue holds, and what she may order.
import { ask, byId, make } from "./dom.js";
import { specialName, tokens } from "./menu.js";

const WATCH_MS = 3000; // how often a question is checked: somebody else may have settled it

/** @type {import("../shim").Relay | undefined} */
const relay = window.relay;

// -- The state of the page -------------------------------------------------------------

const STATES = /** @type {Record<string, [tone: string, headline: string, detail: string]>} */ ({
  idle: ["busy", "Connecting", "to the relay"],
  connecting: ["busy", "Connecting", "to the relay"],
  waiting: ["", "Standing by", "another tab takes the tips"],
  superseded: ["", "Standing by", "another page took over"],
  refused: ["bad", "Refused", "the relay does not admit this page"],
  destroyed: ["", "Ended", "this page takes no tips"],
  live: ["live", "Live", "tips reach this page"],
  held: ["busy", "On hold", "new tips wait"],
  stopped: ["bad", "Stopped", "the toy is at rest, new tips wait"],
  missing: ["bad", "No connection", "the relay's script did not load"],
});
const NOTICES = /** @type {Record<string, string>} */ ({
  waiting: "Another tab of this browser is the live one.",
  superseded: "This page was replaced by a newer one.",
});

function render() {
  const state = relay?.state ?? "missing";
  const shown = relay?.stopped ? "stopped" : state === "live" && relay?.held ? "held" : state;
  const [tone, headline, detail] = STATES[shown] ?? ["", shown, ""];
  const line = byId("state");
  line.className = `state ${tone}`;
  const [, words, more] = line.children;
  if (words.textContent !== headline) words.textContent = headline;
  if (more.textContent !== detail) more.textContent = detail;
  byId("notice").hidden = !(state in NOTICES);
  byId("notice-text").textContent = NOTICES[state] ?? "";
  /** @type {HTMLButtonElement} */ (byId("stop")).disabled = !relay || relay.stopped;
  byId("resume").hidden = !(relay?.stopped || relay?.held);
}

// -- The vendor's queue, in the vendor's words -------------------------------------------------------------

/** @type {{running: any[], queue: any[], waiting: any[]}} */
let line = { running: [], queue: [], waiting: [] };

/**
 * @param {any} value
 * @returns {any[]}
 */
const list = (value) => (Array.isArray(value) ? value.filter((one) => one && typeof one === "object") : []);

/** @param {any} one */
function place(one, /** @type {boolean} */ running) {
  const effect = one.specialType ? specialName(one.specialType) : one.level ? `level ${one.level}` : "";
  const more = [tokens(Number(one.amount)), effect, one.time ? `${one.time} s` : ""].filter(Boolean).join(" · ");
  const words = [make("b", {}, String(one.tipperName)), make("span", {}, more)];
  return make("li", running ? { class: "running" } : {}, ...words, make("em", {}, running ? "running" : "queued"));
}

function renderQueue() {
  const items = [...line.running.map((one) => place(one, true))];
  items.push(...[...line.queue, ...line.waiting].map((one) => place(one, false)));
  byId("queue").replaceChildren(
    ...(items.length > 0 ? items : [make("li", { class: "none" }, "Nothing runs, nothing waits.")]),
  );
}

/** @param {any} event */
function hearQueue(event) {
  const { running, queue, waiting } = event.detail ?? {};
  line = { running: list(running), queue: list(queue), waiting: list(waiting) };
  renderQueue();
}

/** @param {any} event */
function hearRunning(event) {
  line = { ...line, running: list(event.detail?.running) };
  renderQueue();
}

// -- Uncertain tips -------------------------------------------------------------

/** @type {Map<string, HTMLElement>} */
const questions = new Map();

/** @param {{id: string, tipper: string, amount: number}[]} tips */
function question(tips) {
  for (const { id, tipper, amount } of tips) {
    if (questions.has(id)) continue;
    const answers = /** @type {[string, "played" | "replay" | "skip"][]} */ ([
      ["Played", "played"],
      ["Play it", "replay"],
      ["Skip", "skip"],
    ]);
    const buttons = answers.map(([label, as]) => {
      const button = make("button", { type: "button" }, label);
      button.addEventListener("click", () => {
        relay?.resolve(id, as);
        settle(id);
      });
      return button;
    });
    const words = make("p", { id: `q-${id}` }, `Did ${tipper}'s tip of ${amount} play?`);
    const group = make("div", { role: "group", "aria-labelledby": `q-${id}` }, ...buttons);
    const card = make("div", { class: "question", "data-tip": id }, words, group);
    questions.set(id, card);
    byId("questions").append(card);
  }
}

/** @param {string} id */
function settle(id) {
  questions.get(id)?.remove();
  questions.delete(id);
}

async function checkQuestions() {
  for (const id of questions.keys()) {
    try {
      const { status } = await ask(`tips/${encodeURIComponent(id)}`);
      if (status !== "uncertain") settle(id);
    } catch {
      break; // the relay is away; the question stands
    }
  }
  setTimeout(checkQuestions, WATCH_MS);
}

// -- Wired -------------------------------------------------------------

renderQueue();
render();
if (relay) {
  for (const type of ["state", "hold", "release", "stop"]) relay.on(type, render);
  relay.on("tipQueueStatus", hearQueue);
  relay.on("tipRunning", hearRunning);
  relay.on("uncertain", question);
  question(relay.uncertain ?? []); // asked before this script was there
  relay.on("stop", () => hearQueue({}));
  byId("stop").addEventListener("click", () => relay.stop());
  byId("resume").addEventListener("click", () => relay.resume());
  byId("takeover").addEventListener("click", () => relay.takeover());
  setTimeout(checkQuestions, WATCH_MS);
}
