// The states of a tip, in words and tones.

const STATES = /** @type {Record<string, [brief: string, tone: string]>} */ ({
  accepted: ["accepted", "info"],
  sent: ["sent", "info"],
  played: ["played", "info"],
  queued: ["queued", "busy"],
  running: ["running", "busy"],
  done: ["done", "good"],
  no_reaction: ["no reaction", ""],
  cleared: ["cleared", ""],
  expired: ["expired", ""],
  cancelled: ["cancelled", ""],
  failed: ["failed", "bad"],
  uncertain: ["uncertain", "busy"],
});

const OPEN = new Set(["accepted", "sent", "played", "queued", "running", "uncertain"]);

/** @param {string} status */
export const inBrief = (status) => STATES[status]?.[0] ?? status;

/** @param {string} status */
export const tone = (status) => STATES[status]?.[1] ?? "";

/** @param {string} status */
export const isOpen = (status) => OPEN.has(status);
