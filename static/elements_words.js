// What the elements say, and how strangers' words are made fit to be shown. Pure functions; nothing touches the page.

const TEXT_POINTS_MAX = 1000;

// Controls, and what no eye sees (bidi controls, zero-width, fillers); but joiners, variation selectors and tags, which
// emoji and scripts are written with, stay.
const UNSEEN = /(?!\u200c|\u200d|[\ufe00-\ufe0f]|[\u{e0020}-\u{e007f}])[\p{Cc}\p{Default_Ignorable_Code_Point}]/gu;
const SPACES = /[\s\u0085]+/g;
const PILED = /(\p{M}{4})\p{M}+/gu; // marks that climb over the lines above

/** English; an element's `words` replace them. */
export const WORDS = {
  locale: "en",
  chat: "Chat",
  quiet: "Quiet so far.",
  newest: "Newest",
  gap: "Some messages are missing here.",
  connecting: "Reconnecting …",
  refused: "The chat cannot be shown.",
  tip: "{tipper} tipped {amount}",
  token: "{n} token",
  tokens: "{n} tokens",
  level: "level {n}",
  seconds: "{n} s",
  menu: "Tip menu",
  empty: "What tips do is not known yet.",
  stale: "As last known.",
  between: "{from}–{to}",
  above: "{from}+",
  specials: /** @type {Record<string, string>} */ ({
    twowaves: "two waves",
    giveControl: "control",
    clear: "clears the queue",
  }),
  /** What stands behind a tip's line; an empty word: nothing. */
  statuses: /** @type {Record<string, string>} */ ({
    accepted: "accepted",
    played: "played",
    queued: "queued",
    running: "running",
    done: "done",
    no_reaction: "no reaction",
    cleared: "cleared",
    expired: "expired",
    cancelled: "cancelled",
    failed: "failed",
    uncertain: "uncertain",
  }),
};

/** @typedef {typeof WORDS} Words */

/**
 * Text fit for one line: whole characters, single spaces, nothing unseen, a handful of marks on a letter, not endless.
 * @param {unknown} value
 */
export function readable(value) {
  if (typeof value !== "string") return Number.isFinite(value) ? `${value}` : "";
  const start = value.slice(0, TEXT_POINTS_MAX * 8).toWellFormed();
  const text = start.replace(SPACES, " ").replace(UNSEEN, "").replace(PILED, "$1").replace(/ {2,}/g, " ").trim();
  const points = [...text];
  return points.length > TEXT_POINTS_MAX ? `${points.slice(0, TEXT_POINTS_MAX).join("")}…` : text;
}

/**
 * "{tipper} tipped {amount}" with its places filled.
 * @param {string} pattern
 * @param {Record<string, Node | string>} places
 * @returns {(Node | string)[]}
 */
export const fill = (pattern, places) =>
  pattern.split(/\{(\w+)\}/).map((part, n) => (n % 2 ? (places[part] ?? "") : part));

/** @param {string} pattern @param {Record<string, string>} places */
const say = (pattern, places) => fill(pattern, places).join("");

/** @param {unknown} n @param {Words} words */
const number = (n, words) => (typeof n === "number" ? n.toLocaleString(words.locale) : readable(n));

/** @param {unknown} amount @param {Words} words */
export const tokens = (amount, words) => say(amount === 1 ? words.token : words.tokens, { n: number(amount, words) });

/**
 * "level 2 · 6 s", or the special's name; empty when nothing is known.
 * @param {any} effect of a tip, a level or a special
 * @param {Words} words
 */
export function effect({ level, special, seconds }, words) {
  const what = special
    ? readable(words.specials[special] ?? special)
    : level
      ? say(words.level, { n: number(level, words) })
      : "";
  return [what, seconds ? say(words.seconds, { n: number(seconds, words) }) : ""].filter(Boolean).join(" · ");
}

/**
 * A menu as rows, cheapest first: the relay's own rows, or levels and specials as settings have them.
 * @param {any} menu `{rows: [{min, max, reacts, text?, …}]}` or `{levels: […], specials: {…}}`
 * @param {Words} words
 * @returns {{amount: string, text: string}[]}
 */
export function rowsOf(menu, words) {
  const items = Array.isArray(menu?.rows) ? menu.rows : [...specialsOf(menu), ...(menu?.levels ?? [])];
  return items
    .map((/** @type {any} */ item) => ({ ...item, from: item?.amount ?? item?.min, to: item?.amount ?? item?.max }))
    .filter((/** @type {any} */ item) => Number.isFinite(item.from) && item.reacts !== false)
    .sort((/** @type {any} */ one, /** @type {any} */ other) => one.from - other.from)
    .map((/** @type {any} */ item) => row(item, words));
}

/** @param {any} item @param {Words} words */
function row(item, words) {
  const [from, to] = [number(item.from, words), number(item.to, words)];
  const text = readable(item.text) || effect(item, words);
  const said = new RegExp(`^\\W*(${item.from}|${from})(?![\\d.,])`).test(text); // the text begins with the amount itself
  if (said) return { amount: "", text };
  if (item.to === item.from) return { amount: tokens(item.from, words), text };
  const range = say(item.to ? words.between : words.above, { from, to });
  return { amount: say(words.tokens, { n: range }), text };
}

/** @param {any} menu */
function specialsOf(menu) {
  return Object.entries(menu?.specials ?? {}).flatMap(([special, { tokens: min, tokens_max, seconds, enabled }]) =>
    enabled === false ? [] : [{ special, min, max: tokens_max ?? min, seconds }],
  );
}
