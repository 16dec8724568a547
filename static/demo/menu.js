// What an amount does, told from the model's own settings, as the relay tells it.

/**
 * @typedef {{level: number, min: number, max: number | null, seconds: number | null, vibrate: number | null,
 *   rotate: number | null}} Level
 * @typedef {{tokens: number, tokens_max?: number, seconds: number | null, enabled?: boolean}} Special
 * @typedef {{levels: Level[], specials: Record<string, Special>}} Menu
 * @typedef {{level?: number | null, special?: string | null, seconds?: number | null}} Effect
 */

const NICE = [1, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 500, 750, 1000, 1500, 2000, 5000, 10_000];

const SPECIALS = /** @type {Record<string, string>} */ ({
  twowaves: "two waves",
  giveControl: "control",
  clear: "clears the queue",
});

/** @param {string} name */
export const specialName = (name) => SPECIALS[name] ?? name;

/** @param {Menu} menu */
export function specialsOf(menu) {
  return Object.entries(menu.specials)
    .filter(([, special]) => special.enabled !== false)
    .sort(([, one], [, other]) => one.tokens - other.tokens);
}

/**
 * An enabled special first, then the lowest level that covers the amount; null: no reaction.
 * @param {Menu} menu
 * @param {number} amount
 * @returns {Effect | null}
 */
export function effectOf(menu, amount) {
  for (const [name, { tokens, tokens_max, seconds }] of specialsOf(menu)) {
    if (tokens <= amount && amount <= (tokens_max ?? tokens)) return { special: name, seconds };
  }
  const covers = (/** @type {Level} */ one) => one.min <= amount && amount <= (one.max ?? Number.POSITIVE_INFINITY);
  const level = menu.levels.toSorted((one, other) => one.level - other.level).find(covers);
  return level ? { level: level.level, seconds: level.seconds } : null;
}

/**
 * In words: "level 2 · 6 s"; empty when nothing is known.
 * @param {Effect} effect
 */
export function inWords({ level, special, seconds }) {
  const what = special ? specialName(special) : level ? `level ${level}` : "";
  return [what, seconds ? `${seconds} s` : ""].filter(Boolean).join(" · ");
}

/**
 * A round amount from the middle of a level that no special takes.
 * @param {Menu} menu
 * @param {Level} level
 */
export function amountFor(menu, level) {
  const fits = (/** @type {number} */ amount) => effectOf(menu, amount)?.level === level.level;
  const middle = Math.sqrt(level.min * (level.max ?? level.min * 2));
  const distance = (/** @type {number} */ amount) => Math.abs(Math.log(amount / middle));
  const [nice] = NICE.filter(fits).sort((one, other) => distance(one) - distance(other));
  return nice ?? [level.min, level.max].find((amount) => amount && fits(amount));
}

/** @param {number} amount */
export const tokens = (amount) => `${amount.toLocaleString("en")} ${amount === 1 ? "token" : "tokens"}`;
