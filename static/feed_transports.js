// How the feed travels. A transport opens a line, tells it what happens, and returns the way to hang up.

const EVENT_CHARS_MAX = 1_048_576;

/** @typedef {import("./feed.js").FeedLine} Line */

/** @param {string} url @param {Line} line */
function openSocket(url, line) {
  const socket = new WebSocket(url);
  socket.onopen = line.opened;
  socket.onmessage = ({ data }) => typeof data === "string" && line.heard(data);
  socket.onclose = ({ code, reason }) => line.ended(code, reason);
  return () => socket.close();
}

/** Fetched, not an `EventSource`: that one cannot tell why it was refused. @type {typeof openSocket} */
function openStream(url, line) {
  const end = new AbortController();
  readStream(url, line, end.signal).then(
    () => line.ended(0, "the stream has ended"),
    (error) => line.ended(0, String(error)),
  );
  return () => end.abort();
}

/** @param {string} url @param {Line} line @param {AbortSignal} signal */
async function readStream(url, line, signal) {
  const answer = await fetch(url, { signal, cache: "no-store", headers: { Accept: "text/event-stream" } });
  if (!answer.ok) return line.ended(answer.status, (await answer.json().catch(() => ({}))).detail ?? answer.statusText);
  if (!answer.body || !answer.headers.get("content-type")?.startsWith("text/event-stream")) return;
  line.opened();
  const hear = createParser(line);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) hear(part.value);
}

/** Event streams as HTML has them (9.2.6), of which the feed needs `data` and `retry`: id and type are in the data.
 * @param {Pick<Line, "heard" | "retry">} line */
export function createParser({ heard, retry }) {
  let rest = "";
  let data = "";
  return (/** @type {string} */ chunk) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/); // a CR at the end may be half a line break
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === "data") data += `${value}\n`;
      else if (field === "retry" && /^\d+$/.test(value)) retry(+value);
      else if (line === "" && data) {
        heard(data.slice(0, -1));
        data = "";
      }
    }
    if (rest.length + data.length > EVENT_CHARS_MAX) throw new Error("an event without an end");
  };
}

export const OPEN = { websocket: openSocket, sse: openStream };
