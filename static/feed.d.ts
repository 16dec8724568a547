// A reader of one model's feed, for a viewer's page or a chat's (docs/widgets.md; the entries: docs/protocol.md).

/** Where a feed stands. */
export type FeedState =
  | "connecting" // on its way to the relay, or back to it
  | "live"
  | "refused" // it does not come back by itself (the "error" or "ticket" that follows says why); `connect` may help
  | "closed"; // by `close`

/** What every entry has. `id` is the cursor to resume behind; a `heartbeat` has none. */
export interface Entry {
  id?: string;
  type: string;
  model?: string;
  /** ISO 8601, the relay's clock. */
  at?: string;
  [field: string]: unknown;
}

export interface Announcement extends Entry {
  type: "announcement";
  /** Text, never HTML. */
  text: string;
  source: "vendor" | "relay";
  tip?: string;
}

export interface Tip extends Entry {
  type: "tip";
  tip: string;
  /** docs/protocol.md, "A tip's life". */
  status: string;
  tipper: string;
  amount: number;
  level?: number | null;
  special?: string | null;
  seconds?: number | null;
}

export interface Gap extends Entry {
  type: "gap";
  /** The cursor that could not be served in full. */
  after: string;
  why: string;
}

export interface Refused {
  /** The WebSocket's close code or the HTTP status; 0: neither. */
  code: number;
  detail: string;
}

/** What listeners are told, by type. */
export interface FeedEvents {
  announcement: Announcement;
  tip: Tip;
  queue: Entry;
  toy: Entry;
  settings: Entry;
  menu: Entry;
  model: Entry;
  gap: Gap;
  heartbeat: Entry;
  /** Every entry, after its own type's listeners. */
  "*": Entry;
  /** Not from the relay: */
  state: FeedState;
  /** The ticket was refused and nobody knows a fresh one: call `connect(ticket)`. */
  ticket: Refused;
  /** Refused for good (`state` is "refused"), or something that went wrong on the way. */
  error: Refused;
}

export interface FeedOptions {
  /**
   * A feed ticket, or how to get one: called at first, and again with the reason whenever the relay refuses the last.
   * Not needed where the address has one.
   */
  ticket?: string | ((why?: Refused) => string | Promise<string>);
  /** Resume behind this entry's id. */
  after?: string;
  /** Begin with so many entries of history, where there is no cursor. */
  last?: number;
  /** "auto": a WebSocket, and Server-Sent Events where sockets never get through. */
  transport?: "auto" | "websocket" | "sse";
  /** Keeps the cursor over a reload, for example `sessionStorage`; `after` goes first. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem">;
}

/** What a transport tells. */
export interface FeedLine {
  opened(): void;
  heard(text: string): void;
  retry(ms: number): void;
  ended(code: number, detail: string): void;
}

export class RelayFeed {
  /** Connects at once; listeners that are added in the same turn miss nothing. `url` may be relative, http(s) or ws(s). */
  constructor(url: string | URL, options?: FeedOptions);

  readonly state: FeedState;
  /** The id of the last entry; empty before the first. */
  readonly cursor: string;
  /** The last ticket shown; empty where there is none. */
  readonly ticket: string;

  /** Listen; a listener that throws harms nobody. */
  on<T extends keyof FeedEvents>(type: T, listener: (entry: FeedEvents[T]) => void): this;
  on(type: string, listener: (entry: Entry) => void): this;
  off(type: string, listener: (entry: never) => void): this;

  /** Come back after "refused" or "closed", from the last cursor on. While connected, the ticket is kept for later. */
  connect(ticket?: string): void;
  close(): void;
}
