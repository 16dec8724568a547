// How the elements look: style sheets that a strict Content-Security-Policy lets through, since no markup brings them.
// Colours follow the page's `color-scheme`; every one of them is a variable that the page may set.

const SHARED = `
  :host {
    --_ink: var(--relay-ink, light-dark(#15201c, #e8efec));
    --_soft: var(--relay-soft, light-dark(#566560, #9aaaa4));
    --_background: var(--relay-background, light-dark(#ffffff, #151c1a));
    --_rule: var(--relay-rule, light-dark(#dfe5e1, #26312d));
    --_accent: var(--relay-accent, light-dark(#0d6e5f, #4fc8af));
    --_tint: var(--relay-tint, light-dark(#e9f5f1, #16302a));
    --_on-accent: var(--relay-on-accent, light-dark(#ffffff, #06231d));
    --_good: var(--relay-good, light-dark(#0b7a4b, #55d399));
    --_busy: var(--relay-busy, light-dark(#94590a, #efb65a));
    --_bad: var(--relay-bad, light-dark(#b3261e, #ff9a90));
    --_radius: var(--relay-radius, 12px);
    box-sizing: border-box;
    display: block;
    position: relative;
    overflow: hidden;
    border: 1px solid var(--_rule);
    border-radius: var(--_radius);
    background: var(--_background);
    color: var(--_ink);
    font: var(--relay-font, 400 15px/1.45 system-ui, sans-serif);
    font-variant-numeric: tabular-nums;
    text-align: start;
  }
  :host([hidden]), [hidden] { display: none !important; }
  *, ::before, ::after { box-sizing: border-box; }
  p, ul { margin: 0; padding: 0; list-style: none; }
  .said, .effect, .amount { overflow-wrap: anywhere; unicode-bidi: isolate; min-inline-size: 0; }
`;

const CHAT = `
  :host { display: flex; flex-direction: column; block-size: 24rem; min-block-size: 8rem; contain: content; }
  .log {
    flex: 1;
    min-block-size: 0;
    overflow: hidden auto;
    overscroll-behavior: contain;
    padding: 10px;
    border-radius: inherit;
    scrollbar-width: thin;
    scrollbar-color: var(--_rule) transparent;
  }
  .log:empty::before { content: attr(data-quiet); display: block; padding: 4px 10px; color: var(--_soft); }
  .log:focus-visible { outline: 2px solid var(--_accent); outline-offset: -2px; }
  .line { display: flex; gap: 10px; align-items: baseline; padding: 4px 10px; border-radius: 8px; }
  .line + .line { margin-block-start: 2px; }
  .said { flex: 1; }
  .tip { background: var(--_tint); }
  .tip + .tip { margin-block-start: 4px; }
  .tipper { font-weight: 650; }
  .amount { font-weight: 650; color: var(--_accent); margin-inline-end: .3em; }
  .effect { display: inline-block; color: var(--_soft); }
  .relay, .gap { color: var(--_soft); }
  .gap { justify-content: center; font-size: .87em; }
  .gap .said { flex: none; }
  .gap::before, .gap::after { content: ""; flex: 1; align-self: center; border-block-start: 1px dashed var(--_rule); }
  .mark { flex: none; font-size: .8em; font-weight: 600; color: var(--_soft); }
  .mark.good { color: var(--_good); }
  .mark.busy { color: var(--_busy); }
  .mark.bad { color: var(--_bad); }
  .newest {
    position: absolute;
    inset-inline: 0;
    inset-block-end: 12px;
    margin-inline: auto;
    inline-size: fit-content;
    min-block-size: 36px;
    padding: 6px 16px;
    border: 0;
    border-radius: 99px;
    background: var(--_accent);
    color: var(--_on-accent);
    font: inherit;
    font-weight: 600;
    box-shadow: 0 2px 12px rgb(0 0 0 / 22%);
    cursor: pointer;
  }
  .newest:focus-visible { outline: 2px solid var(--_ink); outline-offset: 2px; }
  .foot { position: relative; }
  .status {
    padding: 7px 20px;
    border-block-start: 1px solid var(--_rule);
    color: var(--_soft);
    font-size: .87em;
  }
  .status:empty { padding: 0; border: 0; }
  @media (prefers-reduced-motion: no-preference) {
    .fresh { animation: arrive .25s ease-out; }
    @keyframes arrive { from { opacity: 0; translate: 0 6px; } }
  }
  @media (forced-colors: active) { .tip { border-inline-start: 3px solid; } .newest { border: 1px solid; } }
`;

const MENU = `
  .row {
    display: grid;
    grid-template-columns: minmax(7.5em, 2fr) 3fr;
    gap: 2px 14px;
    align-items: baseline;
    padding: 8px 18px;
  }
  .row + .row { border-block-start: 1px solid var(--_rule); }
  .amount { font-weight: 650; color: var(--_accent); }
  .effect.whole { grid-column: 1 / -1; color: inherit; }
  .note { padding: 10px 18px; color: var(--_soft); font-size: .87em; }
  .rows:not(:empty) + .note { border-block-start: 1px solid var(--_rule); }
  .note:empty { display: none; }
`;

/** @param {...string} parts */
function sheet(...parts) {
  const made = new CSSStyleSheet();
  made.replaceSync(parts.join(""));
  return made;
}

export const chatLook = sheet(SHARED, CHAT);
export const menuLook = sheet(SHARED, MENU);
