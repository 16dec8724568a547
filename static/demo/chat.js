// The chat room: the vendor's sentences, the relay's own, and each tip on one line that says what became of it.
import { make } from "./dom.js";
import { inWords, tokens } from "./menu.js";
import { inBrief, tone } from "./words.js";

const LINES_MAX = 200;
const NEAR_PX = 48; // closer to the end than this is "at the end"

/**
 * @param {HTMLElement} list
 * @param {HTMLElement} newest the button that leads back to the end
 */
export function createChat(list, newest) {
  /** @type {Map<string, HTMLElement>} */
  const marks = new Map();
  let following = true;
  let settled = false; // history is written without motion

  const toEnd = () => {
    list.scrollTop = list.scrollHeight;
  };
  list.addEventListener("scroll", () => {
    following = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;
    if (following) newest.hidden = true;
  });
  newest.addEventListener("click", () => {
    toEnd();
    list.focus({ preventScroll: true });
  });
  new ResizeObserver(() => following && toEnd()).observe(list);
  setTimeout(() => {
    settled = true;
  }, 1000);

  /** @param {HTMLElement} line */
  function write(line) {
    if (settled) line.classList.add("new");
    list.append(line);
    while (list.childElementCount > LINES_MAX) list.firstElementChild?.remove();
    if (following) toEnd();
    else newest.hidden = false;
  }

  return {
    /** @param {{text: string, source: string}} entry */
    announcement({ text, source }) {
      const vendor = source === "vendor";
      const who = make("small", {}, vendor ? "Vendor" : "Relay");
      write(make("li", { class: vendor ? "vendor" : "relay" }, who, vendor ? make("p", {}, text) : text));
    },
    /** @param {any} entry */
    tip(entry) {
      let mark = marks.get(entry.tip);
      if (!mark?.isConnected) {
        if (entry.status !== "accepted" && settled) return;
        const effect = inWords(entry);
        const words = make("p", {}, make("b", {}, entry.tipper), ` tipped ${tokens(entry.amount)}`);
        if (effect) words.append(make("span", {}, ` · ${effect}`));
        mark = make("em");
        marks.set(entry.tip, mark);
        write(make("li", { class: "tip" }, words, mark));
      }
      mark.textContent = inBrief(entry.status);
      mark.className = tone(entry.status);
    },
    gap() {
      write(make("li", { class: "gap" }, "Some messages are missing here."));
    },
  };
}
