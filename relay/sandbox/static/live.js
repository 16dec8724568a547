// The page's line to the sandbox: edits and commands come in, the calls that the page made go out.

const RETRY_MS = [300, 600, 1200, 2500, 5000]; // then always the last
const UNKNOWN = 4404; // the close code that makes a return pointless
const NAME_CHARACTERS_MAX = 1000;

/**
 * @param {string} base the sandbox's address
 * @param {string} token
 * @param {(frame: any) => void} onFrame
 */
export function openLive(base, token, onFrame) {
  const url = `${base.replace(/^http/, "ws")}/sandbox/live?mToken=${encodeURIComponent(token)}`;
  /** @type {WebSocket | undefined} */
  let socket;
  let closed = false;
  let tries = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;

  function connect() {
    socket = new WebSocket(url);
    socket.onmessage = ({ data }) => {
      tries = 0;
      if (!closed) onFrame(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (closed) return;
      if (code === UNKNOWN) {
        console.error("[sandbox] 404: this mToken is unknown; get one from /api/cam/model/getToken");
        return;
      }
      retry = setTimeout(connect, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] * (0.5 + Math.random()));
      tries += 1;
    };
  }

  connect();
  return {
    /**
     * Both ways at once, synchronously: the socket is quick, and the fetch outlives a page that reloads right now. The
     * ledger keeps a call once.
     * @param {object} call
     */
    report(call) {
      const text = JSON.stringify(call);
      if (socket?.readyState === WebSocket.OPEN) socket.send(text);
      const address = `${base}/sandbox/models/${encodeURIComponent(token)}/calls`;
      /** @type {RequestInit} */
      const request = { method: "POST", body: text, mode: "no-cors", credentials: "omit" };
      fetch(address, { ...request, keepalive: true }).catch(() => {
        if (socket?.readyState !== WebSocket.OPEN) fetch(address, request).catch(console.warn);
      });
    },
    close() {
      closed = true;
      clearTimeout(retry);
      socket?.close();
    },
  };
}

/**
 * A value as the ledger can hold it: what JSON knows as it is, everything else as text.
 * @param {unknown} value
 */
export function forLedger(value) {
  if (typeof value === "string") return value.slice(0, NAME_CHARACTERS_MAX);
  if (value === null || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value)))
    return value;
  return String(value).slice(0, NAME_CHARACTERS_MAX);
}

/** A name for one load of the script. */
export function pageName() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `p_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
