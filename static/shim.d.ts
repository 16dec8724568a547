// What `window.relay` offers a broadcaster's page, and the frames the shim and the relay exchange (docs/protocol.md).

/** Where the shim stands. */
export type RelayState =
  | "idle" // no ticket yet: waits for `connect`
  | "waiting" // for this browser's lock; for more than a moment: another tab acts, offer `takeover()`
  | "connecting" // on its way to the relay, or back to it
  | "live" // tips are played here
  | "superseded" // another tab or browser acts now; only `takeover()` brings this one back
  | "refused" // the relay said: stay away (the "error" before it says why); `connect` with a new ticket may help
  | "destroyed";

/** What became of one tip frame on this page. */
export type Outcome = "played" | "failed" | "not_ready" | "stale" | "duplicate";

/** A tip the relay cannot decide about. */
export interface UncertainTip {
  id: string;
  tipper: string;
  amount: number;
  /** Epoch seconds. */
  at: number;
}

/** The vendor's own words, unread: `message`, `settings`, `toy`, `tipQueueStatus`, `tipRunning`, and what may come. */
export interface VendorEvent {
  type: string;
  detail?: unknown;
  [field: string]: unknown;
}

/** What listeners are told, by type. */
export interface RelayEvents {
  state: RelayState;
  /** After each tip frame that was answered. */
  tip: TipFrame & { outcome: Outcome };
  /** All open doubts of this model; the answer is `resolve`. Also an empty list, after each welcome without any. */
  uncertain: UncertainTip[];
  hold: undefined;
  /** Tips are played again; after a stop the vendor's script was brought back. */
  release: undefined;
  stop: undefined;
  /** A fresh ticket is needed and no ticket address is known: call `connect`. */
  ticket: undefined;
  /** `storage_full`, `ticket_unreadable`, or the close code (4000-4099) that sent the page away, with its reason. */
  error: { code: "storage_full" | "ticket_unreadable" | number; detail: string };
  message: VendorEvent;
  settings: VendorEvent;
  toy: VendorEvent;
  tipQueueStatus: VendorEvent;
  tipRunning: VendorEvent;
  /** What `getToys()` and `getSettings()` said, once the vendor is ready and after each welcome. */
  getToys: { type: "getToys"; detail: unknown };
  getSettings: { type: "getSettings"; detail: unknown };
}

export interface Relay {
  /** The shim's version. */
  readonly shim: string;
  readonly state: RelayState;
  /** Tips that wait for a word, as the last `uncertain` said; undefined before the first welcome. */
  readonly uncertain?: UncertainTip[];
  /** The model is on hold: tips wait at the relay. */
  readonly held?: boolean;
  /** The model was stopped: the vendor's script is ended until a release. */
  readonly stopped?: boolean;
  /** The last ticket given. */
  readonly ticket?: string;
  /** Frames that were not understood, or came from a socket that no longer acts. */
  readonly stats: { unknown: number };

  /** Listen; "*" hears everything. Returns the way to stop listening. A listener that throws harms nobody. */
  on<T extends keyof RelayEvents>(type: T, listener: (detail: RelayEvents[T], type: T) => void): () => boolean;
  on(type: string, listener: (detail: unknown, type: string | undefined) => void): () => boolean;

  /**
   * Serve the ticket's model. The same model again: the ticket is kept for later, nothing else happens. Another model:
   * this one is left, the vendor's script ended, and started again with the new model's token.
   * `ticketUrl` answers GET (with credentials) with a fresh ticket, as text or as `{"ticket": …}`.
   */
  connect(options: { ticket: string; ticketUrl?: string }): void;

  /** Act here: from "waiting" or "superseded". The tab or browser that acted stops at once. */
  takeover(): void;

  /** The broadcaster's stop: no further vendor call from now on, `destroyCamApi()` at once, tips are held. Offline it
   * stands too, and is told to the relay at the next welcome. In a tab that waits it takes over first. */
  stop(): void;

  /** Ask for the release of a hold or stop. False: no connection, nothing was asked. */
  resume(): boolean;

  /** The broadcaster's word on an uncertain tip. False: no connection, nothing was said. */
  resolve(id: string, as: "played" | "replay" | "skip"): boolean;

  /** End everything: socket, timers, lock, `destroyCamApi()`. `connect` starts again. */
  destroy(): void;
}

// -- Up: what the page says ----------------------------------------------------------

export interface HelloFrame {
  type: "hello";
  /** One of the two. */
  ticket?: string;
  resume?: string;
  /** `j_` and 128 random bits in digits. */
  journal: string;
  /** "memory": the journal dies with the page. */
  storage: "local" | "memory";
  shim: string;
  vendor: { kit: "camkit"; ready: boolean };
}

export interface AnswerFrame {
  type: "answer";
  /** A tip whose call still runs is left out: its ack follows. */
  tips: Record<string, "played" | "failed" | "unseen" | "interrupted">;
}

export interface AckFrame {
  type: "ack";
  id: string;
  outcome: Outcome;
  error?: string;
  /** With "duplicate": what the journal says. "calling": the first call still runs, its own ack follows. */
  was?: "played" | "failed" | "interrupted" | "calling";
  run?: number;
}

export interface EventFrame {
  type: "event";
  /** Rises per page load. */
  n: number;
  /** Or `{type?, error}` for what cannot be sent: cyclic, BigInt, a getter that throws, more than 60,000 bytes. */
  event: unknown;
}

/** After each welcome, and on each change. `why`: "" | "loading" | "script failed to load" | "stopped". */
export interface VendorFrame {
  type: "vendor";
  ready: boolean;
  why: string;
}

export interface PongFrame {
  type: "pong";
  n: number;
  hidden: boolean;
}

export interface OrderFrame {
  type: "stop" | "release";
}

export interface ResolveFrame {
  type: "resolve";
  id: string;
  as: "played" | "replay" | "skip";
}

export type FrameUp =
  | HelloFrame
  | AnswerFrame
  | AckFrame
  | EventFrame
  | VendorFrame
  | PongFrame
  | OrderFrame
  | ResolveFrame;

// -- Down: what the relay says ----------------------------------------------------------

export interface WelcomeFrame {
  type: "welcome";
  model: string;
  generation: number;
  resume: string;
  /** Seconds between pings. */
  heartbeat: number;
  held: boolean;
  stopped?: boolean;
  ask?: string[];
  vendor: { script: string | null };
  /** Epoch seconds, the relay's clock. */
  at: number;
}

export interface TipFrame {
  type: "tip";
  id: string;
  tipper: string;
  amount: number;
  /** Seconds left at `at`. */
  ttl: number;
  /** Epoch seconds, the relay's clock. */
  at: number;
  /** After a not_ready, nothing of this run or before it is played. */
  run?: number;
  /** Somebody said "play it": allows one more call for a tip whose journal entry is "interrupted". */
  replay?: boolean;
}

export type FrameDown =
  | WelcomeFrame
  | TipFrame
  | { type: "ask"; tips: string[] }
  | { type: "uncertain"; tips: UncertainTip[] }
  | { type: "ping"; n: number }
  | { type: "hold" | "release" | "stop" }
  | { type: "drain"; in: number };

declare global {
  interface Window {
    relay: Relay;
  }
  const relay: Relay;
}
