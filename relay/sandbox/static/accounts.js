// The page of linked accounts at work: hands out codes, shows who is linked, takes authorizations back.
import { weather } from "./settings_switches.js";

const WATCH_MS = 3000;
const FAILURES = [
  "ok",
  "timeout_before",
  "timeout_after",
  "error_before",
  "error_after",
  "rate_limited",
  "html",
  "garbage",
];
const TIMES = [
  "milliseconds",
  "seconds",
  "relative",
  "milliseconds_text",
  "seconds_text",
  "relative_text",
  "zero",
  "negative",
  "past",
  "null",
  "missing",
];
const CONTROLS = [
  ["get_token", "Model token", [...FAILURES, "refuse_401", "refuse_402", "refuse_505"]],
  ["exchange", "Code exchange", FAILURES],
  ["refresh", "Refresh", FAILURES],
  ["user_info", "User info", FAILURES],
  ["random_failures", "Random failures, probability", "number"],
  ["hang_seconds", "A timeout is silent for, seconds", "number"],
  ["data", "Fields of an answer", ["nested", "flat", "text"]],
  ["code", "Code", ["number", "text"]],
  ["message", "Message", ["null", "success"]],
  [
    "missing",
    "Missing field",
    ["nothing", "mToken", "accessToken", "refreshToken", "userId", "name", "data", "result", "code"],
  ],
  ["expires_in", "expiresIn", TIMES],
  ["re_expires_in", "reExpiresIn", TIMES],
  ["re_expires_renewed", "A refresh names the whole time again", "flag"],
];
const STATES = {
  waiting: "Code not exchanged yet",
  linked: "Linked",
  expired: "Expired",
  cancelled: "Authorization cancelled",
};

const shown = JSON.parse(byId("state").textContent ?? "{}");
/** @type {ReturnType<typeof setInterval> | undefined} */
let countdown;

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Asks the sandbox; what comes back always has `ok`.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function call(method, path, body) {
  try {
    const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
    return { ok: answer.ok, ...(await answer.json()) };
  } catch {
    return { ok: false, error: "The sandbox does not answer. Is it still running?" };
  }
}

/**
 * @param {string} tag
 * @param {object} [properties]
 * @param {(Node | string)[]} children
 */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** @param {{label: string, checked: boolean, onchange: (on: boolean) => void}} options */
function toggle({ label, checked, onchange }) {
  const input = make("input", { type: "checkbox", role: "switch", checked });
  input.addEventListener("change", () => onchange(/** @type {HTMLInputElement} */ (input).checked));
  return make("label", { className: "switch" }, input, make("span", {}, label));
}

/** @param {object} order */
async function authorize(order) {
  const answer = await call("POST", "accounts/codes", order);
  clearInterval(countdown);
  byId("given").hidden = !answer.ok;
  if (!answer.ok) {
    byId("said").textContent = answer.error;
    return;
  }
  byId("code").textContent = answer.authCode;
  const due = Date.now() + answer.expires_in * 1000;
  const tick = () => {
    const left = Math.ceil((due - Date.now()) / 1000);
    byId("said").textContent = left > 0 ? `For ${answer.name}. Good once, for ${left} s.` : "This code has expired.";
    if (left <= 0) clearInterval(countdown);
  };
  countdown = setInterval(tick, 1000);
  tick();
  await watch();
}

function draw({ accounts }) {
  byId("none").hidden = accounts.length > 0;
  if (JSON.stringify(accounts.map(essence)) === byId("accounts").dataset.drawn) return;
  byId("accounts").dataset.drawn = JSON.stringify(accounts.map(essence));
  byId("accounts").replaceChildren(...accounts.map(drawAccount));
}

function essence({ userId, state, refreshes }) {
  return [userId, state, refreshes];
}

function drawAccount({ userId, name, state, refreshes }) {
  const renew = make("button", { type: "button" }, "New code");
  renew.addEventListener("click", () => authorize({ userId }));
  const cancel = make("button", { type: "button", disabled: state !== "linked" }, "Cancel authorization");
  cancel.addEventListener("click", async () => {
    const answer = await call("POST", "accounts/cancel", { userId });
    byId("said").textContent = answer.ok ? `${name} took the authorization back.` : answer.error;
    await watch();
  });
  const count = refreshes === 1 ? "1 refresh" : `${refreshes} refreshes`;
  const words = make(
    "div",
    {},
    name,
    make("small", {}, `${STATES[state] ?? state} · ${count}`),
    make("small", {}, userId),
  );
  return make("li", {}, words, renew, cancel);
}

async function watch() {
  const state = await call("GET", "accounts.json");
  if (state.ok) draw(state);
}

byId("authorize").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = /** @type {HTMLInputElement} */ (byId("name")).value.trim();
  authorize({ name, scope: /** @type {HTMLSelectElement} */ (byId("scope")).value });
});
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("code").textContent ?? "");
  byId("said").textContent = "Copied.";
});

draw(shown);
const order = (/** @type {string} */ method, /** @type {string} */ _, /** @type {object} */ body) =>
  call(method, "vendor/switches", body);
weather(byId("switches"), byId("switched"), shown.switches, { call: order, make, toggle }, CONTROLS);
setInterval(() => document.hidden || watch(), WATCH_MS);
