// The widget on the broadcaster's page: which toy, how strong, what it reacts to. Its styles stay in its shadow root.
import { createWave } from "./wave.js";
import { toyName } from "./words.js";

/**
 * @typedef {{ended: boolean, toys: import("./words.js").Toy[], on: boolean, running: import("./queue.js").Running | null,
 *   strength: number, queued: number, halted: boolean}} Picture
 */

const STYLE = `
:host { display: block; container-type: inline-size; }
:host(.corner) { position: fixed; right: 16px; bottom: 16px; width: min(340px, calc(100vw - 32px)); z-index: 2147483000; }
.card {
  --from: var(--toy-view-from, #6366f1); --to: var(--toy-view-to, #0ea5e9);
  --surface: var(--toy-view-surface, #ffffff); --ink: var(--toy-view-ink, #0f172a);
  --soft: var(--toy-view-soft, #5b6577); --rule: var(--toy-view-rule, #e3e8ef); --good: #0a7d55;
  box-sizing: border-box; position: relative; overflow: hidden; padding: 16px 18px 18px; border: 1px solid var(--rule);
  border-radius: var(--toy-view-radius, 16px); background: var(--surface); color: var(--ink);
  font: 400 14px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; text-align: left;
}
:host(.corner) .card { box-shadow: 0 1px 2px rgb(15 23 42 / 8%), 0 12px 32px rgb(15 23 42 / 14%); }
.row { display: flex; align-items: center; gap: 10px; min-width: 0; }
.mark { flex: none; width: 34px; height: 34px; border-radius: 10px; color: #fff; background: linear-gradient(135deg, var(--from), var(--to)); display: grid; place-items: center; }
.who { flex: 1; min-width: 0; line-height: 1.25; }
.who b { display: block; font-weight: 650; font-size: 15px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.who span, .by span { color: var(--soft); font-size: 12.5px; }
.pill { flex: none; display: inline-flex; align-items: center; gap: 6px; padding: 3px 10px; border-radius: 99px; border: 1px solid var(--rule); color: var(--soft); font-size: 12.5px; font-weight: 600; }
.pill::before { content: ""; width: 7px; height: 7px; border-radius: 50%; background: currentColor; }
.pill.on { color: var(--good); }
canvas { display: block; width: 100%; height: 92px; margin: 12px 0; mask-image: linear-gradient(90deg, transparent, #000 22%); }
.by { flex: 1; min-width: 0; }
.by b { display: block; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.power { flex: none; font-size: 30px; line-height: 1; font-weight: 650; letter-spacing: -.02em; }
.power small { font-size: 13px; font-weight: 500; color: var(--soft); letter-spacing: 0; }
.bar { position: absolute; inset: auto 0 0; height: 3px; background: var(--rule); }
.bar i { display: block; height: 100%; background: linear-gradient(90deg, var(--from), var(--to)); transform-origin: left; transform: scaleX(0); }
@media (prefers-color-scheme: dark) {
  .card { --from: var(--toy-view-from, #818cf8); --to: var(--toy-view-to, #38bdf8); --surface: var(--toy-view-surface, #131a26);
    --ink: var(--toy-view-ink, #eef2f8); --soft: var(--toy-view-soft, #98a4b8); --rule: var(--toy-view-rule, #263142); --good: #4ade9f; }
}`;

const CARD = `
<section class="card" part="card" aria-label="Simulated toy">
  <div class="row">
    <span class="mark" aria-hidden="true"><svg width="20" height="20" viewBox="0 0 20 20" fill="none" stroke="currentColor"
      stroke-width="2" stroke-linecap="round"><path d="M2 10h2m2-3v6m3-9v12m3-10v8m3-5v2m3-1h.01"/></svg></span>
    <div class="who"><b></b><span></span></div><span class="pill"></span>
  </div>
  <canvas role="img" aria-label="Strength of the toy"></canvas>
  <div class="row"><div class="by" aria-live="polite"><b></b><span></span></div><div class="power"><b></b><small>/20</small></div></div>
  <div class="bar" aria-hidden="true"><i></i></div>
</section>`;

/**
 * @param {Window & typeof globalThis} world
 * @param {number} speed
 */
export function createView(world, speed) {
  const { document } = world;
  /** @type {{root: ShadowRoot, wave: ReturnType<typeof createWave>} | null} */
  let mounted = null;
  /** @type {Picture | null} */
  let latest = null;
  /** @type {number | undefined} */
  let barOf; // when the command began whose bar runs

  /** Finds the page's place for the picture, or makes one in the corner; again when a page removed or added one. */
  function mount() {
    const place = document.querySelector("[data-toy-view]");
    const host = mounted?.root.host;
    if (host?.isConnected && (!place || place === host)) return;
    if (!document.body && !place) return;
    if (host?.classList.contains("corner")) host.remove();
    const next =
      place ?? document.body.appendChild(Object.assign(document.createElement("div"), { className: "corner" }));
    const root = next.shadowRoot ?? next.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${STYLE}</style>${CARD}`;
    barOf = undefined;
    mounted = { root, wave: createWave(world, /** @type {HTMLCanvasElement} */ (root.querySelector("canvas"))) };
  }

  /** @param {Picture} picture */
  function show(picture) {
    latest = picture;
    mount();
    if (!mounted) return;
    const { root, wave } = mounted;
    /** @param {string} selector @param {string} text */
    const write = (selector, text) => {
      const element = /** @type {HTMLElement} */ (root.querySelector(selector));
      if (element.textContent !== text) element.textContent = text;
      return element;
    };
    const { toys, on, running, strength } = picture;
    write(".who b", toys.map((toy) => toy.name || toyName(toy.type)).join(", ") || "No toy");
    write(".who span", "Simulated toy");
    write(".pill", on ? "On" : "Off").classList.toggle("on", on);
    write(".by b", headline(picture));
    write(".by span", particulars(picture));
    write(".power b", String(strength));
    wave.set(strength / 20, running?.special);
    runBar(root, running);
  }

  /**
   * @param {ShadowRoot} root
   * @param {Picture["running"]} running
   */
  function runBar(root, running) {
    if (running?.startedAt === barOf) return;
    barOf = running?.startedAt;
    const bar = root.querySelector(".bar i");
    for (const animation of bar?.getAnimations() ?? []) animation.cancel();
    if (!running || running.seconds === 0) return;
    const duration = (running.seconds * 1000) / speed;
    const frames = [{ transform: "scaleX(1)" }, { transform: "scaleX(0)" }];
    const motion = bar?.animate(frames, { duration });
    if (motion) motion.currentTime = Math.max(0, world.performance.now() - running.startedAt);
  }

  const again = () => latest && show(latest);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", again, { once: true });
  return { show };
}

/** @param {Picture} picture */
function headline({ ended, on, running, queued, halted }) {
  if (ended) return "Not broadcasting";
  if (running) return `${running.tipper} · ${running.amount} tokens`;
  if (!on) return "The toy is off";
  if (halted) return "Paused";
  return queued > 0 ? "Ready" : "Waiting for a tip";
}

/** @param {Picture} picture */
function particulars({ ended, on, running, queued }) {
  if (ended) return "";
  const parts = [];
  if (running) parts.push(running.special ?? `Level ${running.level}`, on ? `${running.seconds} s` : "toy off");
  if (queued > 0) parts.push(`${queued} in the queue`);
  return parts.join(" · ") || "Nothing in the queue";
}
