// The model's rules on the page: what an amount orders, and how the vendor shows its settings.

/**
 * @typedef {{min: number, max: number | null, time: number, vLevel: number, rLevel: number}} Level
 * @typedef {{token: number, time: number | null, enabled: boolean}} Special
 * @typedef {{levels: Level[], special: Record<string, Special>}} Rules
 * @typedef {{level: number | "", special: string | undefined, seconds: number, vibrate: number, rotate: number}} Order
 */

const STRENGTH_MAX = 20;

/**
 * What an amount orders: a special's exact amount first, then the lowest-numbered level whose inclusive range holds
 * it, else nothing at all.
 * @param {Rules} rules
 * @param {number} amount
 * @returns {Order | null}
 */
export function orderOf(rules, amount) {
  for (const [name, { token, time, enabled }] of Object.entries(rules.special)) {
    if (enabled && token === amount) {
      const vibrate = name === "pause" || name === "clear" ? 0 : STRENGTH_MAX;
      return { level: "", special: name, seconds: time ?? 0, vibrate, rotate: 0 };
    }
  }
  const index = rules.levels.findIndex(({ min, max }) => amount >= min && amount <= (max ?? Infinity));
  if (index < 0) return null;
  const { time, vLevel, rLevel } = rules.levels[index];
  return { level: index + 1, special: undefined, seconds: time, vibrate: vLevel, rotate: rLevel };
}

/**
 * As `getSettings()` returns them: numbers, and `clear` among the specials. An open end is Infinity, which becomes
 * null in JSON; a special that is switched off has an empty token.
 * @param {Rules} rules
 */
export function plainSettings(rules) {
  const levels = namedLevels(rules, (level) => ({ ...level, max: level.max ?? Infinity }));
  const special = namedSpecials(rules, ({ token, time, enabled }) => ({
    ...(time === null ? {} : { time }),
    token: enabled ? token : "",
  }));
  return { levels, special };
}

/**
 * As the `settings` event carries them: text for most numbers (not for strengths), and no `clear`.
 * @param {Rules} rules
 */
export function settingsInWords(rules) {
  const levels = namedLevels(rules, ({ min, max, time, rLevel, vLevel }) => ({
    min: String(min),
    max: max === null ? Infinity : String(max),
    time: String(time),
    rLevel,
    vLevel,
  }));
  const { clear: _, ...special } = namedSpecials(rules, ({ token, time, enabled }) => ({
    time: String(time),
    token: enabled ? String(token) : "",
  }));
  return { levels, special };
}

/**
 * @param {Rules} rules
 * @param {(level: Level) => object} write
 */
function namedLevels(rules, write) {
  return Object.fromEntries(rules.levels.map((level, index) => [`level${index + 1}`, write(level)]));
}

/**
 * @param {Rules} rules
 * @param {(special: Special) => object} write
 * @returns {Record<string, object>}
 */
function namedSpecials(rules, write) {
  return Object.fromEntries(Object.entries(rules.special).map(([name, special]) => [name, write(special)]));
}
