// A reader of the relay's feed: over a WebSocket, or over Server-Sent Events where sockets are not let through; from
// the last cursor on, however often the line breaks, and every entry once. Types and words: feed.d.ts.
import { OPEN } from "./feed_transports.js";

const OPEN_MS_MAX = 10_000; // for a ticket and an open line
const SILENCE_MS_MAX = 40_000; // the relay is never silent for more than 15 s
const RETRY_MS = 1000; // the backoff's beginning, unless the relay says another
const RETRY_MS_MAX = 30_000;
const DRAIN_MS_MAX = 500; // "come back now", spread a little
const IDS_MAX = 1000; // entries remembered, so that none is told twice

export class RelayFeed {
  #url;
  #options;
  /** @type {Map<string, Set<(entry: any) => void>>} */
  #listeners = new Map();
  /** @type {Set<string>} */
  #told = new Set();
  /** @type {{hangUp?: () => void, heard?: boolean} | undefined} the one line that may speak */
  #line;
  /** @type {ReturnType<typeof setTimeout> | undefined} what happens unless something else happens before */
  #timer;
  #tries = 0;
  #retry = RETRY_MS;
  /** @type {string | undefined} */
  #ticket;
  /** @type {{code: number, detail: string} | undefined} why the ticket is not good any more */
  #stale;
  /** @type {"websocket" | "sse"} */
  #over;
  #socketsWork = false;
  /** @type {import("./feed.js").FeedState} */
  #state = "closed";

  /**
   * @param {string | URL} url
   * @param {import("./feed.js").FeedOptions} [options]
   */
  constructor(url, options = {}) {
    this.#url = new URL(url, globalThis.document?.baseURI);
    this.#options = options;
    if (typeof options.ticket === "string") this.#ticket = options.ticket;
    this.#over = options.transport === "sse" || !globalThis.WebSocket ? "sse" : "websocket";
    this.cursor = options.after ?? this.#kept() ?? "";
    this.connect();
  }

  get state() {
    return this.#state;
  }

  get ticket() {
    return this.#ticket ?? this.#url.searchParams.get("ticket") ?? "";
  }

  /** @param {string} type @param {(entry: any) => void} listener */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return this;
  }

  /** @param {string} type @param {(entry: any) => void} listener */
  off(type, listener) {
    this.#listeners.get(type)?.delete(listener);
    return this;
  }

  /** @param {string} [ticket] */
  connect(ticket) {
    if (ticket) {
      this.#ticket = ticket;
      this.#stale = undefined;
    }
    if (this.#state === "connecting" || this.#state === "live") return;
    globalThis.addEventListener?.("online", this.#wake);
    this.#tries = 0;
    this.#wait(0);
    this.#enter("connecting");
  }

  close() {
    this.#leave("closed");
  }

  // -- The line -------------------------------------------------------------

  #wake = () => {
    if (this.#line) return;
    this.#tries = 0;
    this.#dial();
  };

  async #dial() {
    /** @type {{hangUp?: () => void, heard?: boolean}} */
    const line = {};
    this.#line = line;
    this.#watch(OPEN_MS_MAX);
    try {
      const ticket = await this.#ask();
      if (this.#line !== line) return;
      line.hangUp = OPEN[this.#over](this.#address(ticket), {
        opened: () => this.#line === line && this.#opened(),
        heard: (text) => this.#line === line && this.#heard(text),
        retry: (ms) => {
          this.#retry = Math.min(ms, RETRY_MS_MAX);
        },
        ended: (code, detail) => this.#line === line && this.#ended(code, detail),
      });
    } catch (error) {
      if (this.#line !== line) return;
      this.#emit("error", { code: 0, detail: String(error) });
      this.#ended(0, String(error));
    }
  }

  /** The ticket to show; a fresh one where the last was refused. */
  async #ask() {
    const { ticket } = this.#options;
    if (typeof ticket === "function" && (this.#stale || !this.#ticket)) {
      this.#ticket = await ticket(this.#stale);
      this.#stale = undefined;
    }
    return this.#ticket;
  }

  /** @param {string | undefined} ticket */
  #address(ticket) {
    const url = new URL(this.#url);
    const secure = url.protocol === "https:" || url.protocol === "wss:";
    url.protocol = `${this.#over === "sse" ? "http" : "ws"}${secure ? "s" : ""}:`;
    if (ticket) url.searchParams.set("ticket", ticket);
    if (this.cursor) {
      url.searchParams.set("after", this.cursor);
      url.searchParams.delete("last");
    } else if (this.#options.last) url.searchParams.set("last", `${this.#options.last}`);
    return url.href;
  }

  #opened() {
    this.#watch(SILENCE_MS_MAX);
    this.#enter("live");
  }

  /** @param {string} text one entry, as JSON */
  #heard(text) {
    this.#watch(SILENCE_MS_MAX);
    if (this.#line) this.#line.heard = true;
    if (this.#over === "websocket") this.#socketsWork = true;
    const entry = read(text);
    if (!entry) return this.#emit("error", { code: 0, detail: "an entry that cannot be read" });
    this.#tries = 0;
    if (entry.id) {
      const key = `${entry.id} ${entry.at}`; // a store that was set back gives an id again, at another time
      if (this.#told.has(key)) return;
      if (this.#told.add(key).size > IDS_MAX) this.#told.delete(this.#told.values().next().value ?? "");
      this.#keep(entry.id);
    }
    this.#tell(entry);
  }

  /**
   * @param {number} code of the WebSocket's close, or of an HTTP answer; 0: the line broke
   * @param {string} detail
   */
  #ended(code, detail) {
    const { heard, hangUp } = this.#line ?? {};
    if (this.#over === "websocket" && code >= 4000) this.#socketsWork = true; // the relay itself has spoken
    const either = (this.#options.transport ?? "auto") === "auto" && globalThis.WebSocket;
    if (either && hangUp && !heard && !this.#socketsWork) this.#over = this.#over === "sse" ? "websocket" : "sse";

    let wish = wishOf(code);
    const after = wish === "stop" && (code === 400 || code === 4002) ? this.cursor : "";
    if (after) {
      wish = "later"; // the cursor may be what was refused: go on without it
      this.#keep("");
    }
    if (wish === "stop") return this.#refused("error", code, detail);
    if (wish === "ticket") {
      if (typeof this.#options.ticket !== "function") return this.#refused("ticket", code, detail);
      this.#stale = { code, detail };
    }
    const most = Math.min(RETRY_MS_MAX, this.#retry * 2 ** this.#tries);
    const soon = this.#tries++ === 0 ? { now: DRAIN_MS_MAX, ticket: 0, later: most }[wish] : most;
    this.#hangUp();
    this.#wait(Math.random() * soon);
    this.#enter("connecting");
    if (after) this.#tell({ id: "", type: "gap", after, why: detail });
  }

  /** @param {"error" | "ticket"} type @param {number} code @param {string} detail */
  #refused(type, code, detail) {
    this.#leave("refused");
    this.#emit(type, { code, detail });
  }

  /** @param {import("./feed.js").FeedState} state */
  #leave(state) {
    globalThis.removeEventListener?.("online", this.#wake);
    this.#hangUp();
    this.#enter(state);
  }

  #hangUp() {
    clearTimeout(this.#timer);
    const line = this.#line;
    this.#line = undefined; // first: what it still says is nobody's
    line?.hangUp?.();
  }

  /** @param {number} ms */
  #wait(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), ms);
  }

  /** A line may be dead without saying so. @param {number} ms */
  #watch(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ended(0, "silence"), ms);
  }

  // -- The listeners -------------------------------------------------------------

  /** @param {import("./feed.js").FeedState} state */
  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#emit("state", state);
  }

  /** @param {import("./feed.js").Entry} entry */
  #tell(entry) {
    this.#emit(entry.type, entry);
    this.#emit("*", entry);
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // its author's to see; the others still hear
        });
      }
    }
  }

  // -- The cursor -------------------------------------------------------------

  get #name() {
    return `relay feed ${this.#url.host}${this.#url.pathname}`;
  }

  #kept() {
    try {
      return this.#options.storage?.getItem(this.#name);
    } catch {
      return undefined;
    }
  }

  /** @param {string} cursor */
  #keep(cursor) {
    this.cursor = cursor;
    try {
      if (cursor) this.#options.storage?.setItem(this.#name, cursor);
      else this.#options.storage?.removeItem(this.#name);
    } catch {
      return; // full or forbidden: the cursor lives as long as the page
    }
  }
}

/** What an end asks for, by range, so that a code of tomorrow is understood too (docs/protocol.md). @param {number} code */
function wishOf(code) {
  if (code === 401 || (4100 <= code && code < 4200)) return "ticket";
  if (4300 <= code && code < 4400) return "now";
  if (4000 <= code && code < 4100) return "stop";
  return code >= 400 && code < 500 && ![408, 425, 429].includes(code) ? "stop" : "later";
}

/** @param {string} text */
function read(text) {
  try {
    const entry = JSON.parse(text);
    return typeof entry?.type === "string" ? entry : undefined;
  } catch {
    return undefined;
  }
}
