// <relay-chat> and <relay-menu>: a model's feed as text on anybody's page. Whatever anybody wrote is shown as text and
// never read as HTML. Attributes, parts, variables and words: docs/widgets.md.
import { RelayElement } from "./elements_base.js";
import { chatLook, menuLook } from "./elements_look.js";
import { effect, fill, readable, rowsOf, tokens } from "./elements_words.js";

const HISTORY_ENTRIES = 50;
const LINES = 200;
const LINES_MAX = 1000;
const NEAR_PX = 48; // closer to the end than this is "at the end"
const SETTLE_MS = 1000; // in which history comes: it is written without motion, and not read out
const STATUS_MS = 1500; // a feed that is back sooner was never away
const CONFIRM_MS = 5000; // in which her page, once it is ready, has said its settings again
const TONES = /** @type {Record<string, string>} */ ({
  done: "good",
  running: "busy",
  queued: "busy",
  uncertain: "busy",
  failed: "bad",
});

/**
 * An element whose class and `part` are its name: "line tip".
 * @param {string} tag
 * @param {string} name
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 */
function make(tag, name, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries({ class: name, part: name, ...attributes }))
    element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export class RelayChat extends RelayElement {
  #log = make("div", "log", { role: "log", "aria-live": "polite", tabindex: "0" });
  #newest = /** @type {HTMLButtonElement} */ (make("button", "newest", { type: "button", hidden: "" }));
  #status = make("div", "status", { role: "status" });
  /** @type {Map<string, HTMLElement>} the line of a tip, as long as it is shown */
  #tips = new Map();
  /** @type {HTMLElement[]} written with the next frame, all at once */
  #waiting = [];
  #following = true; // the reader is at the end, and stays there
  #settled = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    super(chatLook, {
      announcement: (entry) => this.#announcement(entry),
      tip: (entry) => this.#tip(entry),
      gap: () => this.#write("gap", this.words.gap),
      state: (state) => this.#state(state),
    });
    this.root.append(this.#log, make("div", "foot", {}, this.#newest), this.#status);
    this.#log.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#log;
      this.#following = scrollHeight - scrollTop - clientHeight < NEAR_PX;
      if (this.#following) this.#newest.hidden = true;
    });
    this.#newest.addEventListener("click", () => {
      this.#toEnd();
      this.#log.focus({ preventScroll: true }); // the button goes away, the reader does not
    });
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(this.#log);
    this.relabel();
  }

  get historyEntries() {
    return this.#number("last", HISTORY_ENTRIES, LINES_MAX);
  }

  /** How many lines there are at most; the oldest go. */
  get lines() {
    return Math.max(1, this.#number("lines", LINES, LINES_MAX));
  }

  relabel() {
    this.#log.setAttribute("aria-label", this.getAttribute("label") || this.words.chat);
    this.#log.dataset.quiet = this.words.quiet;
    const arrow = document.createElement("span");
    arrow.ariaHidden = "true";
    arrow.textContent = " ↓";
    this.#newest.replaceChildren(this.words.newest, arrow);
  }

  clear() {
    this.#tips.clear();
    this.#waiting = [];
    this.#log.replaceChildren();
    this.#status.textContent = "";
    this.#newest.hidden = true;
    this.#following = true;
  }

  /** @param {string} name @param {number} usual @param {number} most */
  #number(name, usual, most) {
    const text = this.getAttribute(name) ?? "";
    return /^\d+$/.test(text) ? Math.min(+text, most) : usual;
  }

  // -- What the feed tells -------------------------------------------------------------

  /** @param {import("./feed.js").Announcement & {tips?: unknown}} entry */
  #announcement({ text, source, tip, tips }) {
    const shown = readable(text);
    if (!shown) return;
    if (source !== "relay") return this.#write("vendor", shown);
    // The relay's own words about tips stand in the tips' own line: for many, in one for all of them.
    const told = (Array.isArray(tips) ? tips : [tip]).filter((id) => typeof id === "string");
    const [first, ...more] = new Set(told.flatMap((id) => this.#tips.get(id) ?? []));
    this.#forget(more);
    const line = first ?? this.#write(told.length ? "tip" : "relay", "");
    line.querySelector(".said")?.replaceChildren(shown);
    for (const id of told) this.#tips.set(id, line);
  }

  /** @param {import("./feed.js").Tip} entry */
  #tip(entry) {
    const { words } = this;
    const known = this.#tips.get(entry.tip);
    if (!known && entry.status !== "accepted") return; // its line has gone, or was before our time
    const line = known ?? this.#write("tip", ...this.#said(entry));
    this.#tips.set(entry.tip, line);
    const mark = line.querySelector(".mark") ?? line.appendChild(make("small", "mark", { "aria-live": "off" }));
    mark.textContent = words.statuses[entry.status] ?? readable(entry.status);
    mark.className = `mark ${TONES[entry.status] ?? ""}`;
    mark.setAttribute("part", `mark ${readable(entry.status)}`);
  }

  /** @param {import("./feed.js").Tip} entry */
  #said(entry) {
    const { words } = this;
    const tipper = make("bdi", "tipper", {}, readable(entry.tipper));
    const said = fill(words.tip, { tipper, amount: make("bdi", "amount", {}, tokens(entry.amount, words)) });
    const will = effect(entry, words);
    return will ? [...said, " ", make("span", "effect", {}, will)] : said;
  }

  /** @param {import("./feed.js").FeedState} state */
  #state(state) {
    const say = () => {
      this.#status.textContent = state === "connecting" ? this.words.connecting : this.words.refused;
    };
    clearTimeout(this.#timer);
    this.#settled = false;
    this.#log.ariaBusy = "true";
    if (state === "live") this.#timer = setTimeout(() => this.#settle(), SETTLE_MS);
    if (state === "refused") say();
    else if (state === "connecting") this.#timer = setTimeout(say, STATUS_MS);
    else this.#status.textContent = "";
  }

  #settle() {
    this.#settled = true;
    this.#log.ariaBusy = "false";
  }

  // -- Lines -------------------------------------------------------------

  /** @param {string} kind @param {...(Node | string)} said */
  #write(kind, ...said) {
    const text = make("span", "said", {}, ...said);
    const line = make("p", `line ${kind}`, { dir: "auto" }, text);
    if (this.#settled) line.classList.add("fresh");
    this.#waiting.push(line);
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#show());
    if (this.#waiting.length > this.lines) this.#forget([this.#waiting[0]]); // nobody looks
    return line;
  }

  #show() {
    this.#log.append(...this.#waiting.splice(0));
    const surplus = this.#log.childElementCount - this.lines;
    if (surplus > 0) this.#forget([...this.#log.children].slice(0, surplus));
    if (this.#following) this.#toEnd();
    else this.#newest.hidden = false;
  }

  /** @param {Element[]} lines */
  #forget(lines) {
    const gone = new Set(lines);
    for (const line of lines) line.remove();
    this.#waiting = this.#waiting.filter((line) => !gone.has(line));
    for (const [id, line] of this.#tips) if (gone.has(line)) this.#tips.delete(id);
  }

  #toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}

export class RelayMenu extends RelayElement {
  #rows = make("ul", "rows", { role: "list" });
  #note = make("p", "note");
  /** @type {any} */
  #menu;
  /** The question whose answer counts. `late`: the feed has told of a menu since, and the answer may be older. */
  #asked = { late: false };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    super(menuLook, {
      menu: (entry) => this.#hear(entry),
      settings: (entry) => this.#hear(entry),
      model: ({ ready }) => ready && this.#confirm(),
      state: (state) => state === "live" && this.#ask(),
    });
    this.root.append(this.#rows, this.#note);
    this.relabel();
  }

  /** A menu of the relay (`{rows}`), or a model's settings (`{levels, specials}`). */
  get menu() {
    return this.#menu;
  }

  set menu(menu) {
    this.#menu = menu;
    const { words } = this;
    const rows = rowsOf(menu, words).map(({ amount, text }) => {
      const cells = amount ? [make("span", "amount", {}, amount)] : [];
      return make("li", "row", {}, ...cells, make("span", amount ? "effect" : "effect whole", { dir: "auto" }, text));
    });
    this.#rows.replaceChildren(...rows);
    this.#note.textContent = rows.length === 0 ? words.empty : menu.fresh === false ? words.stale : "";
  }

  relabel() {
    this.#rows.setAttribute("aria-label", this.getAttribute("label") || this.words.menu);
    this.menu = this.#menu;
  }

  clear() {
    this.#asked = { late: false };
    this.menu = undefined;
  }

  /** @param {import("./feed.js").Entry} entry */
  #hear(entry) {
    this.#asked.late = true;
    if (entry.type === "menu" || !this.#menu?.rows) this.#learn(entry); // the relay's own menu comes with settings
  }

  /** @param {any} menu */
  #learn(menu) {
    if (Array.isArray(menu?.rows) || Array.isArray(menu?.levels)) this.menu = menu;
  }

  /** Settings that are as they were come with no entry: who has the last known asks, and not all viewers at once. */
  #confirm() {
    clearTimeout(this.#timer);
    const ms = CONFIRM_MS * (1 + Math.random());
    this.#timer = setTimeout(() => this.#menu?.fresh === false && this.#ask(), ms);
  }

  /** What holds now; what changes it comes with the feed. Where the address is not there, the feed alone has to do. */
  async #ask() {
    const { feed } = this;
    const url = new URL(this.getAttribute("src") || location.href, this.baseURI);
    const [, before, model] = /^(.*)\/feed\/([^/]+)$/.exec(url.pathname) ?? [];
    if (!feed || !model) return;
    url.pathname = `${before}/models/${model}/menu`;
    url.search = feed.ticket ? `${new URLSearchParams({ ticket: feed.ticket })}` : "";
    const asked = { late: false };
    this.#asked = asked;
    const answer = await fetch(url).catch(() => undefined);
    const menu = answer?.ok && (await answer.json().catch(() => undefined));
    if (!menu || asked !== this.#asked) return;
    if (asked.late) this.#ask();
    else this.#learn(menu);
  }
}

customElements.define("relay-chat", RelayChat);
customElements.define("relay-menu", RelayMenu);
