// The vendor's words: its five events in their documented shapes, quirks included.

/**
 * @typedef {{id: string, type: string, name: string, on: boolean}} Toy
 * @typedef {import("./queue.js").Command} Command
 * @typedef {{running: Command | null, queue: Command[], halted: boolean}} View
 */

/**
 * Toys as `getToys()` and the `toy` event show them: a status for each, in words.
 * @param {Toy[]} toys
 */
export function toyList(toys) {
  return toys.map(({ id, name, type, on }) => ({ id, name, type, status: on ? "on" : "off" }));
}

/** @param {Toy[]} toys */
export function toyEvent(toys) {
  return { type: "toy", status: toys.some((toy) => toy.on) ? "on" : "off", detail: toyList(toys) };
}

/**
 * The queue; while it is halted, what would stand in `queue` stands in `waiting`.
 * @param {View} view
 * @param {string} model
 * @param {Toy[]} toys
 */
export function queueEvent(view, model, toys) {
  const line = view.queue.map(({ amount, tipper }) => ({ amount, tipperName: tipper }));
  const running = runningList(view, model, toys);
  const detail = view.halted ? { running, queue: [], waiting: line } : { running, queue: line, waiting: [] };
  return { type: "tipQueueStatus", detail };
}

/**
 * @param {View} view
 * @param {string} model
 * @param {Toy[]} toys
 */
export function runningEvent(view, model, toys) {
  return { type: "tipRunning", detail: { running: runningList(view, model, toys) } };
}

/**
 * @param {Command} command
 * @param {Toy[]} toys
 */
export function announcement(command, toys) {
  return { type: "message", detail: (SENTENCES[command.special ?? ""] ?? reacting)(command, toyNames(toys)) };
}

/** @param {string} type */
export function toyName(type) {
  return type.charAt(0).toUpperCase() + type.slice(1);
}

/** @type {Record<string, (command: Command, toys: string) => string>} */
const SENTENCES = {
  giveControl: ({ tipper, seconds }, toys) =>
    `${tipper} has control of my LOVENSE ${toys} now. It will end after ${seconds} sec!`,
  pause: ({ tipper, seconds }, toys) =>
    `My LOVENSE ${toys} is paused by ${tipper}'s tip. It will go on after ${seconds} sec!`,
  clear: ({ tipper }) => `${tipper}'s tip has cleared the queue!`,
};

/**
 * @param {Command} command
 * @param {string} toys
 */
function reacting({ tipper, seconds }, toys) {
  return `My LOVENSE ${toys} is now reacting to ${tipper}'s tip. It will stop after ${seconds} sec!`;
}

/** @param {Toy[]} toys */
function toyNames(toys) {
  return toys
    .filter((toy) => toy.on)
    .map((toy) => toyName(toy.type))
    .join(" and ");
}

/**
 * @param {View} view
 * @param {string} model
 * @param {Toy[]} toys
 */
function runningList({ running }, model, toys) {
  if (!running) return [];
  const { amount, tipper, seconds, cParameter, level, special } = running;
  const module = special ? "Special Command" : "Basic Level";
  const reactToys = reactingToys(running, toys);
  return [
    {
      amount,
      tipperName: tipper,
      time: seconds,
      cParameter,
      level,
      module,
      specialType: special,
      name: model,
      reactToys,
    },
  ];
}

/**
 * A leading hole, as the document prints it; and, as there, "earthquake" in the toys of a basic level.
 * @param {Command} command
 * @param {Toy[]} toys
 */
function reactingToys({ special, vibrate, rotate }, toys) {
  /** @type {object[]} */
  const list = [];
  for (const { id, type } of toys.filter((toy) => toy.on)) {
    const specialType = special ?? "earthquake";
    list[list.length || 1] = { toyId: id, specialType, status: 1, toyType: type, vibrate, rotate, airpump: 0 };
  }
  return list;
}
