// The queue of commands: first in, first out, by timestamps. A hidden page wakes late, and then catches up in order.

const QUEUE_MAX = 2000; // commands; a page that is flooded drops the rest and says so
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * @typedef {import("./rules.js").Order & {tipper: string, amount: number, cParameter: object}} Command
 * @typedef {Command & {startedAt: number, endsAt: number}} Running
 */

/**
 * @param {object} options
 * @param {number} options.speed how many times faster than life
 * @param {(change: {started?: Command, ranBefore: Command | null}) => void} options.onChange after every step
 * @param {() => number} [options.now] milliseconds that only grow
 */
export function createQueue({ speed, onChange, now = () => performance.now() }) {
  /** @type {Running | null} */
  let running = null;
  /** @type {Command[]} */
  let queue = [];
  let held = false; // by the model, until she resumes
  let toysOn = true;
  let movableSince = 0; // nothing may start earlier than this
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** Does everything that is due, each thing at its own time. */
  function advance() {
    const time = now();
    while (toysOn) {
      if (running) {
        if (running.endsAt > time) break;
        step(Math.max(running.endsAt, movableSince));
      } else if (queue.length > 0 && !held) {
        step(time);
      } else {
        break;
      }
    }
    clearTimeout(timer);
    if (running && toysOn) timer = setTimeout(advance, Math.min(Math.max(running.endsAt - time, 1), TIMER_MS_MAX));
  }

  /**
   * Ends what runs, if anything does, and starts the next in the same breath.
   * @param {number} at
   * @param {Command} [first] one that does not wait its turn
   */
  function step(at, first) {
    const ranBefore = running;
    const started = first ?? (held ? undefined : queue.shift());
    running = started ? { ...started, startedAt: at, endsAt: at + (started.seconds * 1000) / speed } : null;
    onChange({ started, ranBefore });
  }

  return {
    advance,
    /**
     * Takes a command; false when there is no room.
     * @param {Command} command
     */
    take(command) {
      advance();
      if (command.special === "clear" || command.special === "pause") {
        if (command.special === "clear") queue = [];
        step(now(), command);
      } else if (queue.length >= QUEUE_MAX) {
        return false;
      } else {
        queue.push(command);
        if (running || held) onChange({ ranBefore: running });
      }
      advance();
      return true;
    },
    /** Empties the queue and stops what runs. */
    clear() {
      advance();
      const ranBefore = running;
      queue = [];
      running = null;
      onChange({ ranBefore });
    },
    /**
     * Halts the queue, which stops what runs, or lets it go on.
     * @param {boolean} on
     */
    hold(on) {
      advance();
      const ranBefore = running;
      held = on;
      if (on) running = null;
      else movableSince = now();
      onChange({ ranBefore });
      advance();
    },
    /**
     * Without a toy nothing ends and nothing starts: what runs stays in view.
     * @param {boolean} on
     */
    setToysOn(on) {
      advance();
      if (on && !toysOn) movableSince = now();
      toysOn = on;
      advance();
    },
    /** Forgets everything, and says nothing. */
    destroy() {
      clearTimeout(timer);
      queue = [];
      running = null;
    },
    view() {
      return { running, queue: [...queue], halted: held || running?.special === "pause" };
    },
  };
}
