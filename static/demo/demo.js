// The demo page: a viewer who tips, the room's feed, and the receipt of the last tip.
import { RelayFeed } from "/feed.js";
import { ask, byId, make } from "./dom.js";
import { amountFor, effectOf, inWords, specialName, specialsOf, tokens } from "./menu.js";
import { createPaper } from "./receipt.js";
import { inBrief, isOpen, tone } from "./words.js";

const RECENT_MAX = 4;
const HISTORY_ENTRIES = 60;
const LOOK_MS = 1000; // how often an open receipt is read without a word from the feed: private tips have none

const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (document.getElementById(id));
const { model = "", name = "" } = document.body.dataset;
const showReceipt = createPaper(byId("receipt"), byId("news"));

// -- The tip menu -------------------------------------------------------------

/** @type {import("./menu.js").Menu | null} */
let menu = null;

/** @param {import("./menu.js").Menu | null} next */
function learn(next) {
  if (!next?.levels || JSON.stringify(next) === JSON.stringify(menu)) return;
  menu = { levels: next.levels, specials: next.specials ?? {} };
  byId("levels").replaceChildren(...menu.levels.flatMap(levelButton));
  byId("specials").replaceChildren(...specialsOf(menu).map(specialButton));
  explain();
}

/** @param {import("./menu.js").Level} level */
function levelButton(level) {
  const amount = menu && amountFor(menu, level);
  if (!amount) return [];
  const strength = Math.max(level.vibrate ?? 0, level.rotate ?? 0) / 20;
  const bar = make("i", { "aria-hidden": "true", style: `--strength: ${Math.round(strength * 100)}%` });
  const sum = make("b", {}, amount.toLocaleString("en"), make("small", {}, ` ${amount === 1 ? "token" : "tokens"}`));
  const button = make("button", { type: "button" }, sum, make("span", {}, inWords(level)), bar);
  button.addEventListener("click", () => tip(amount));
  return [button];
}

/** @param {[string, import("./menu.js").Special]} special */
function specialButton([kind, { tokens: amount, seconds }]) {
  const words = ` ${specialName(kind)}${seconds ? ` · ${seconds} s` : ""}`;
  const button = make("button", { type: "button" }, make("b", {}, `${amount}`), make("span", {}, words));
  button.addEventListener("click", () => tip(amount));
  return button;
}

function explain() {
  const amount = field("amount").valueAsNumber;
  if (!menu || !(amount >= 1)) byId("effect").textContent = "";
  else byId("effect").textContent = inWords(effectOf(menu, amount) ?? {}) || "no reaction at this amount";
}

/** @param {number} amount */
async function tip(amount) {
  const order = {
    tipper: field("tipper").value,
    amount,
    anonymous: field("anonymous").checked,
    private: field("private").checked,
  };
  try {
    const receipt = await ask("tips", order);
    byId("said").textContent = "";
    note(receipt.id, receipt.shown_as, receipt.amount, receipt.status);
    choose(receipt.id);
    if (receipt.id === current) showTip(receipt);
  } catch (error) {
    byId("said").textContent = /** @type {Error} */ (error).message;
  }
}

field("amount").addEventListener("input", explain);
byId("tipping").addEventListener("submit", (event) => {
  event.preventDefault();
  tip(field("amount").valueAsNumber);
});

// -- The receipt -------------------------------------------------------------

let current = "";
const showTip = (/** @type {import("./receipt.js").Receipt} */ receipt) => {
  showReceipt(receipt);
  const pill = make("span", { class: `pill ${tone(receipt.status)}` }, inBrief(receipt.status));
  byId("peek").replaceChildren(make("b", {}, `${tokens(receipt.amount)} from ${receipt.shown_as}`), pill);
  byId("peek").hidden = receiptInSight;
};
let receiptInSight = false;
new IntersectionObserver(([{ isIntersecting }]) => {
  receiptInSight = isIntersecting;
  byId("peek").hidden = receiptInSight || !current;
}).observe(byId("receipt"));

let looking = false;
let lookAgain = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {string} id */
function choose(id) {
  current = id;
  mark();
  look();
}

/** One question at a time; what comes in meanwhile asks once more. */
async function look() {
  lookAgain = true;
  if (looking) return;
  looking = true;
  clearTimeout(timer);
  let open = true;
  while (lookAgain) {
    lookAgain = false;
    const id = current;
    try {
      const receipt = await ask(`tips/${encodeURIComponent(id)}`);
      if (id !== current) continue;
      showTip(receipt);
      note(id, receipt.shown_as, receipt.amount, receipt.status);
      open = isOpen(receipt.status);
    } catch {
      open = true; // the relay is away: ask later
    }
  }
  looking = false;
  if (open) timer = setTimeout(look, LOOK_MS);
}

/** @type {Map<string, {who: string, amount: number, status: string}>} */
const recent = new Map();

/**
 * @param {string} id
 * @param {string} who
 * @param {number} amount
 * @param {string} status
 */
function note(id, who, amount, status) {
  recent.set(id, { who, amount, status });
  while (recent.size > RECENT_MAX) recent.delete(recent.keys().next().value ?? "");
  const box = byId("recent");
  box.hidden = recent.size < 2;
  const lines = [...recent].reverse().map(([tipId, one]) => {
    const state = make("em", { class: tone(one.status) }, inBrief(one.status));
    const button = make(
      "button",
      { type: "button", "data-tip": tipId },
      make("b", {}, `${one.who} · ${tokens(one.amount)}`),
      state,
    );
    button.addEventListener("click", () => choose(tipId));
    return make("li", {}, button);
  });
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.tip : undefined;
  box.querySelector("ul")?.replaceChildren(...lines);
  mark();
  const again = [...box.querySelectorAll("button")].find((button) => focused && button.dataset.tip === focused);
  again?.focus({ preventScroll: true });
}

function mark() {
  for (const button of byId("recent").querySelectorAll("button")) {
    button.setAttribute("aria-current", `${button.dataset.tip === current}`);
  }
}

// -- What the platform knows -------------------------------------------------------------

/** @param {any} state */
function badges(state) {
  const { online, ready, held, toys, generation, tips } = state;
  const list = [
    [online ? "Page live" : "Page away", online ? "good" : ""],
    [ready ? "Script ready" : "Script not ready", ready ? "good" : "busy"],
    [toys.on === null ? "Toy unknown" : toys.on ? "Toy on" : "Toy off", toys.on ? "good" : ""],
    held ? ["Tips on hold", "busy"] : null,
    tips.uncertain ? [`${tips.uncertain} uncertain`, "busy"] : null,
    online ? [`Generation ${generation}`, ""] : null,
  ];
  const items = list.filter((one) => one !== null && (online || one[0] !== "Script not ready"));
  byId("badges").replaceChildren(...items.map((one) => make("li", { class: one?.[1] ?? "" }, one?.[0] ?? "")));
}

let asking = false;
let askAgain = false;

async function survey() {
  askAgain = true;
  if (asking) return;
  asking = true;
  while (askAgain) {
    askAgain = false;
    try {
      const state = await ask("model");
      badges(state);
      learn(state.settings);
    } catch {
      byId("badges").replaceChildren(make("li", { class: "bad" }, "Relay away"));
    }
  }
  asking = false;
}

// -- The feed -------------------------------------------------------------

const feed = new RelayFeed(`/feed/${model}`, {
  last: HISTORY_ENTRIES,
  ticket: async () => (await ask("feed-ticket")).ticket,
});
/** @type {import("/elements.js").RelayChat} */ (byId("chat")).feed = feed;

feed.on("settings", learn).on("toy", survey).on("model", survey);
feed.on("tip", (entry) => {
  const known = recent.has(entry.tip);
  if (known || entry.status === "accepted") note(entry.tip, entry.tipper, entry.amount, entry.status);
  if (!known && entry.status === "accepted") choose(entry.tip);
  else if (entry.tip === current) look();
  if (entry.status === "uncertain") survey();
});
feed.on("state", (state) => {
  const link = byId("link");
  link.textContent = state === "live" ? "Feed live" : "Reconnecting";
  link.className = state === "live" ? "link good" : "link busy";
  survey();
});
survey();

// -- The rest of the page -------------------------------------------------------------

byId("copy").addEventListener("click", async () => {
  const button = byId("copy");
  try {
    await navigator.clipboard.writeText(byId("curl").textContent ?? "");
    button.textContent = "Copied";
  } catch {
    getSelection()?.selectAllChildren(byId("curl"));
    button.textContent = "Selected";
  }
  setTimeout(() => {
    button.textContent = "Copy";
  }, 2000);
});

// On a narrow screen the frame is as tall as its page; on a wide one the panel says how tall it is.
const frame = /** @type {HTMLIFrameElement} */ (byId("frame"));
const fit = () => {
  const inside = frame.contentDocument?.querySelector("main");
  if (!inside) return;
  new ResizeObserver(() => {
    frame.style.setProperty("--frame-height", `${Math.ceil(inside.getBoundingClientRect().height)}px`);
  }).observe(inside);
};
frame.addEventListener("load", fit);
fit();
document.title = `relay · demo with ${name}`;
