// A viewer's feed: Server-Sent Events with a ticket, from the last cursor on, however often the line breaks.
import { ask } from "./dom.js";

const TYPES = ["announcement", "tip", "queue", "toy", "settings", "model", "gap", "heartbeat"];
const SILENCE_MS_MAX = 40_000; // the relay is never silent for more than 15 s
const RETRY_MS_MAX = 10_000;

/**
 * @param {object} wish
 * @param {string} wish.model
 * @param {number} wish.last entries of history to begin with
 * @param {(type: string, entry: any) => void} wish.onEntry
 * @param {(live: boolean) => void} wish.onLink
 */
export function follow({ model, last, onEntry, onLink }) {
  let cursor = "";
  let tries = 0;
  /** @type {EventSource | undefined} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function open() {
    source?.close();
    try {
      const { ticket } = await ask("feed-ticket");
      listen(
        `/feed/${model}?${new URLSearchParams({ ticket, ...(cursor ? { after: cursor } : { last: `${last}` }) })}`,
      );
    } catch {
      later();
    }
  }

  function later() {
    source?.close();
    onLink(false);
    clearTimeout(timer);
    timer = setTimeout(open, Math.random() * Math.min(RETRY_MS_MAX, 500 * 2 ** tries++));
  }

  /** A line may be dead without saying so. */
  function heard() {
    clearTimeout(timer);
    timer = setTimeout(open, SILENCE_MS_MAX);
  }

  /** @param {string} url */
  function listen(url) {
    const mine = new EventSource(url);
    source = mine;
    heard();
    mine.onopen = () => {
      tries = 0;
      heard();
      onLink(true);
    };
    // The browser comes back by itself after a break, but not after a refusal: that takes a fresh ticket.
    mine.onerror = () => (mine.readyState === EventSource.CLOSED ? later() : onLink(false));
    for (const type of TYPES) {
      mine.addEventListener(type, (event) => {
        heard();
        cursor = event.lastEventId || cursor;
        onEntry(type, JSON.parse(event.data));
      });
    }
  }

  open();
}
