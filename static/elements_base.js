// What the elements have in common: where their feed comes from, when it begins and ends, and the page that is told.
import { WORDS } from "./elements_words.js";
import { RelayFeed } from "./feed.js";

// -- One line for all elements of a page that read the same -------------------------------------------------------------

/** @typedef {{feed: RelayFeed, options: import("./feed.js").FeedOptions, readers: number, begun: boolean}} Share */
/** @type {Map<string, Share>} */
const shares = new Map();

/** @param {RelayElement} element @returns {Share} */
function share(element) {
  const of = (/** @type {string} */ name) => element.getAttribute(name) ?? "";
  const key = ["src", "ticket", "ticket-url", "transport"].map(of).join("\n");
  const last = element.historyEntries;
  let found = shares.get(key);
  if (!found || (found.begun && last)) {
    const ticket = of("ticket-url")
      ? (/** @type {unknown} */ why) => ticketFor(element, why)
      : of("ticket") || undefined;
    const options = /** @type {import("./feed.js").FeedOptions} */ ({ ticket, transport: of("transport") || "auto" });
    const made = {
      feed: new RelayFeed(new URL(of("src"), element.baseURI), options),
      options,
      readers: 0,
      begun: false,
    };
    setTimeout(() => {
      made.begun = true;
    });
    shares.set(key, made);
    found = made;
  }
  found.options.last = Math.max(found.options.last ?? 0, last);
  found.readers++;
  return found;
}

/** @param {Share} left */
function leave(left) {
  if (--left.readers) return;
  left.feed.close();
  for (const [key, one] of shares) if (one === left) shares.delete(key);
}

/** The attribute's ticket at first, then what `ticket-url` answers: text, or `{"ticket": …}`. */
async function ticketFor(/** @type {RelayElement} */ element, /** @type {unknown} */ why) {
  const given = element.getAttribute("ticket");
  if (given && !why) return given;
  const answer = await fetch(new URL(element.getAttribute("ticket-url") ?? "", element.baseURI), {
    credentials: "include",
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the ticket's address answered ${answer.status}`);
  return text.startsWith("{") ? JSON.parse(text).ticket : text;
}

const GIVEN = ["words", "menu", "feed"];

export class RelayElement extends HTMLElement {
  static observedAttributes = ["src", "ticket", "ticket-url", "transport", "label"];

  /** @type {RelayFeed | undefined} */
  #feed;
  /** @type {RelayFeed | undefined} whose words are shown, also once it is not followed any more */
  #shown;
  /** @type {Share | undefined} */
  #share;
  #own = false; // the page gave the feed
  #planned = false;
  #words = WORDS;
  /** @type {[type: string, listener: (entry: any) => void][]} */
  #hears;
  /** @type {Record<string, unknown>} what the page gave before this was an element */
  #early = {};
  root = this.attachShadow({ mode: "open" });

  /** @param {CSSStyleSheet} look @param {Record<string, (entry: any) => void>} hears */
  constructor(look, hears) {
    super();
    for (const name of GIVEN) {
      if (!Object.hasOwn(this, name)) continue;
      this.#early[name] = Reflect.get(this, name);
      Reflect.deleteProperty(this, name); // else it would hide ours
    }
    this.root.adoptedStyleSheets = [look];
    const pass = (/** @type {string} */ type) => (/** @type {unknown} */ detail) =>
      this.dispatchEvent(new CustomEvent(`relay-${type}`, { detail }));
    const told = ["state", "ticket", "error"].map((type) => [type, pass(type)]);
    this.#hears = /** @type {any} */ ([...Object.entries(hears), ...told]);
  }

  get words() {
    return this.#words;
  }

  /** @param {Partial<import("./elements_words.js").Words>} words those that are left out stay */
  set words(words) {
    this.#words = { ...this.#words, ...words };
    this.relabel();
  }

  /** How many entries of the past it begins with. */
  get historyEntries() {
    return 0;
  }

  /** Its own words are to be written again. */
  relabel() {
    throw new Error("every element has its own");
  }

  /** Another feed begins: what the last one told goes. */
  clear() {
    throw new Error("every element has its own");
  }

  /** The feed it shows. A page that has a `RelayFeed` already gives it; the element then neither opens nor closes one. */
  get feed() {
    return this.#feed;
  }

  set feed(feed) {
    this.#follow(undefined);
    this.#own = feed !== undefined;
    this.#follow(feed);
  }

  connectedCallback() {
    Object.assign(this, this.#early);
    this.#early = {};
    this.#plan();
  }

  disconnectedCallback() {
    this.#plan();
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (before === value) return;
    if (name === "label") this.relabel();
    else if (name === "ticket" && this.#share && value) this.#feed?.connect(value);
    else this.#plan(this.#share !== undefined);
  }

  /** Once the page has made up its mind: an element may be moved, or get several attributes. */
  #plan(anew = false) {
    if (anew) this.#follow(undefined);
    if (this.#planned || this.#own) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (this.#own) return;
      if (!this.isConnected || !this.hasAttribute("src")) this.#follow(undefined);
      else if (!this.#feed) {
        const joined = share(this);
        this.#follow(joined.feed);
        this.#share = joined;
      }
    });
  }

  /** @param {RelayFeed | undefined} feed */
  #follow(feed) {
    for (const [type, listener] of this.#hears) this.#feed?.off(type, listener);
    if (this.#share) leave(this.#share);
    this.#share = undefined;
    this.#feed = feed;
    if (feed && this.#shown && feed !== this.#shown) this.clear();
    this.#shown = feed ?? this.#shown;
    for (const [type, listener] of this.#hears) {
      feed?.on(type, listener);
      if (feed && type === "state") listener(feed.state);
    }
  }
}
