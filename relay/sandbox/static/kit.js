// The simulated Cam Kit: one global with the vendor's methods, for one broadcasting page. Everything dies with the page.
import { forLedger, openLive, pageName } from "./live.js";
import { createQueue } from "./queue.js";
import { orderOf, plainSettings, settingsInWords } from "./rules.js";
import { createView } from "./view.js";
import { announcement, queueEvent, runningEvent, toyEvent, toyList } from "./words.js";

const EARLY_TIPS_MAX = 200; // taken between initCamApi() and the first word from the sandbox
const LISTENERS_MAX = 100;

/**
 * @typedef {{model: string, rules: import("./rules.js").Rules, toys: import("./words.js").Toy[], held: boolean,
 *   switches: Record<string, any>}} State
 * @typedef {{token: string, state: State | null, greeted: boolean, early: [unknown, unknown, unknown][],
 *   queue: ReturnType<typeof createQueue>, live: ReturnType<typeof openLive>}} Session
 */

/**
 * Starts the kit for the model that the script was loaded for, and defines the global.
 * @param {State & {mToken: string, base: string, speed: number}} config
 * @param {Window & typeof globalThis} world
 */
export function startKit(config, world) {
  const { document } = world;
  const source = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : "";
  const base = source.includes("/api/cam/model/") ? source.split("/api/cam/model/")[0] : config.base;
  const page = pageName();
  const view = createView(world, config.speed);
  /** @type {((data: object) => void)[]} */
  let listeners = [];
  /** @type {[Session, object][]} */
  let outbox = [];
  /** @type {Session | null} */
  let session = null;
  let last = { token: config.mToken, state: /** @type {State} */ (config) };
  let calls = 0;
  let shown = ""; // the strength last told

  const api = {
    receiveTip,
    /** @param {(data: object) => void} callback */
    addMessageListener(callback) {
      if (typeof callback !== "function") throw new TypeError("addMessageListener wants a function");
      const keep = last.state.switches.listeners === "replace" ? [] : listeners;
      listeners = [...keep, callback].slice(-LISTENERS_MAX);
      if (session) greet(session);
    },
    getToys() {
      session?.queue.advance();
      const list = session?.state ? toyList(session.state.toys) : [];
      return TOY_SHAPES[last.state.switches.get_toys](list);
    },
    getSettings: () => (session?.state ? plainSettings(session.state.rules) : {}),
    /** @param {string} mToken */
    initCamApi(mToken) {
      begin(String(mToken ?? config.mToken));
    },
    destroyCamApi() {
      end();
    },
  };

  /**
   * @param {unknown} cname
   * @param {unknown} amount
   * @param {unknown} [cParameter]
   */
  function receiveTip(cname, amount, cParameter) {
    const mode = last.state.switches.receive_tip;
    const outcome = { throws: "threw", rejects: "rejected" }[mode] ?? (session ? "taken" : "ignored");
    calls += 1;
    reporter.report({ page, n: calls, name: forLedger(cname), amount: forLedger(amount), at: Date.now(), outcome });
    if (outcome === "threw") throw new Error("[sandbox] receiveTip throws, as its switch says");
    if (outcome === "rejected") return Promise.reject(new Error("[sandbox] receiveTip rejects, as its switch says"));
    if (session) take(session, cname, amount, cParameter);
    return undefined;
  }

  /** @param {string} token */
  function begin(token) {
    end();
    const mine = /** @type {Session} */ ({ token, state: null, greeted: false, early: [] });
    mine.queue = createQueue({ speed: config.speed, onChange: (change) => session === mine && changed(mine, change) });
    mine.live = openLive(base, token, (frame) => session === mine && hear(mine, frame));
    session = mine;
    reporter = mine.live;
    if (token === last.token) learn(mine, last.state);
    render();
  }

  function end() {
    session?.queue.destroy();
    session?.live.close();
    session = null;
    outbox = [];
    render();
  }

  /**
   * @param {Session} mine
   * @param {any} frame
   */
  function hear(mine, frame) {
    if (frame.type === "state") learn(mine, frame);
    else if (frame.type === "clear") mine.queue.clear();
    else if (frame.type === "tip") take(mine, frame.tipper, frame.amount, undefined);
    else if (frame.type === "event") tell(mine, frame.event);
    mine.queue.advance();
  }

  /**
   * Compares what the sandbox says with what was known, and tells the page what is new.
   * @param {Session} mine
   * @param {State} state
   */
  function learn(mine, state) {
    const before = mine.state;
    mine.state = state;
    last = { token: mine.token, state };
    if (state.switches.receive_tip === "missing") Reflect.deleteProperty(api, "receiveTip");
    else api.receiveTip = receiveTip;
    mine.queue.setToysOn(state.toys.some((toy) => toy.on));
    if (state.held !== (before?.held ?? false)) mine.queue.hold(state.held);
    if (!before) {
      greet(mine);
      for (const [cname, amount, cParameter] of mine.early.splice(0)) take(mine, cname, amount, cParameter);
    } else {
      if (differs(before.toys, state.toys)) tell(mine, toyEvent(state.toys));
      if (differs(before.rules, state.rules)) tell(mine, { type: "settings", detail: settingsInWords(state.rules) });
    }
    render();
  }

  /**
   * The first words of a broadcast, as soon as somebody listens.
   * @param {Session} mine
   */
  function greet(mine) {
    if (!mine.state || mine.greeted || listeners.length === 0) return;
    mine.greeted = true;
    tell(mine, toyEvent(mine.state.toys));
    tell(mine, { type: "settings", detail: settingsInWords(mine.state.rules) });
  }

  /**
   * A tip. An amount that orders nothing, or a toy that is off, and nothing happens at all.
   * @param {Session} mine
   * @param {unknown} cname
   * @param {unknown} amount
   * @param {unknown} given
   */
  function take(mine, cname, amount, given) {
    if (!mine.state) {
      if (mine.early.length < EARLY_TIPS_MAX) mine.early.push([cname, amount, given]);
      return;
    }
    const order = orderOf(mine.state.rules, Number(amount));
    if (!order || !mine.state.toys.some((toy) => toy.on)) return;
    const cParameter = mine.state.switches.echo && typeof given === "object" && given ? given : {};
    const taken = mine.queue.take({ ...order, tipper: String(cname), amount: Number(amount), cParameter });
    if (!taken) console.warn("[sandbox] the queue is full: a tip was dropped");
  }

  /**
   * @param {Session} mine
   * @param {{started?: import("./queue.js").Command, ranBefore: object | null}} change
   */
  function changed(mine, { started, ranBefore }) {
    const { model, toys, switches } = /** @type {State} */ (mine.state);
    const now = mine.queue.view();
    if (switches.queue_events) {
      tell(mine, queueEvent(now, model, toys));
      if (now.running !== ranBefore) tell(mine, runningEvent(now, model, toys));
    }
    if (started && switches.announce) tell(mine, announcement(started, toys));
    render();
  }

  /**
   * Events leave in order, after the call that caused them; those of a broadcast that has ended do not leave.
   * @param {Session} mine
   * @param {object} event
   */
  function tell(mine, event) {
    outbox.push([mine, event]);
    if (outbox.length === 1) queueMicrotask(flush);
  }

  function flush() {
    for (const [mine, event] of outbox.splice(0)) {
      for (const listener of session === mine ? listeners : []) {
        try {
          listener(event);
        } catch (error) {
          console.error("[sandbox] a listener threw", error);
        }
      }
    }
  }

  function render() {
    const toys = session?.state?.toys ?? [];
    const on = toys.some((toy) => toy.on);
    const { running, queue, halted } = session?.queue.view() ?? { running: null, queue: [], halted: false };
    const strength = running && on ? Math.max(running.vibrate, running.rotate) : 0;
    view.show({ ended: !session, toys, on, running, strength, queued: queue.length, halted });
    const detail = { strength, tipper: running?.tipper ?? null, amount: running?.amount ?? null };
    const told = JSON.stringify([detail, running?.startedAt]);
    if (told !== shown && (shown || strength)) world.dispatchEvent(new CustomEvent("sandbox:strength", { detail }));
    shown = told;
  }

  const wake = () => session?.queue.advance();
  document.addEventListener("visibilitychange", wake);
  world.addEventListener("pageshow", wake);

  /** @type {{report: (call: object) => void}} */
  let reporter = { report: console.debug };
  const { ready_delay: delay, global: name } = config.switches;
  const appear = () => {
    Object.assign(world, { [name]: api });
    begin(config.mToken);
  };
  if (delay > 0) setTimeout(appear, delay * 1000);
  else appear();
}

/** @type {Record<string, (list: {id: string}[]) => unknown>} */
const TOY_SHAPES = {
  array: (list) => list,
  map: (list) => Object.fromEntries(list.map((toy) => [toy.id, toy])),
  json: (list) => JSON.stringify(list),
  promise: (list) => Promise.resolve(list),
  null: () => null,
};

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function differs(one, other) {
  return JSON.stringify(one) !== JSON.stringify(other);
}
