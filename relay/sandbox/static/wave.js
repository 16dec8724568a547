// The moving picture: the toy's strength over the last seconds, as a wave that runs from right to left.

const WINDOW_S = 7; // seconds that the picture spans
const EASE_S = 0.18; // how fast the wave follows the strength
const LINES = [
  { hertz: 1.3, height: 1, alpha: 0.95, width: 2 },
  { hertz: 2.1, height: 0.72, alpha: 0.5, width: 1.5 },
  { hertz: 0.7, height: 0.86, alpha: 0.32, width: 1.5 },
];

/**
 * How each special moves, from 0 to 1, by seconds since its start. A level is steady.
 * @type {Record<string, (t: number) => number>}
 */
const SHAPES = {
  earthquake: (t) => 0.5 + 0.5 * Math.abs(Math.sin(t * 9.1) * Math.sin(t * 3.7 + 1)),
  fireworks: (t) => (t % 2.4 < 0.25 ? (t % 2.4) / 0.25 : Math.exp(-1.7 * ((t % 2.4) - 0.25))),
  wave: (t) => 0.5 - 0.5 * Math.cos((t * Math.PI) / 2),
  pulse: (t) => (t % 1.2 < 0.6 ? 1 : 0.15),
  twowaves: (t) => Math.abs(0.5 * Math.sin(t * 1.6) + 0.5 * Math.sin(t * 2.9)),
  random: (t) => 0.2 + 0.8 * Math.abs(Math.sin(Math.floor(t / 0.8) * 78.233) % 1),
  giveControl: (t) => 0.5 + 0.4 * Math.sin(t * 0.9) * Math.sin(t * 0.37 + 2),
};

/**
 * Draws on a canvas for as long as something moves, and rests otherwise.
 * @param {Window & typeof globalThis} world
 * @param {HTMLCanvasElement} canvas
 */
export function createWave(world, canvas) {
  const still = world.matchMedia("(prefers-reduced-motion: reduce)");
  const dark = world.matchMedia("(prefers-color-scheme: dark)");
  /** @type {[number, number][]} */
  let past = []; // [seconds, strength from 0 to 1]
  let level = 0;
  let target = 0;
  let special = "";
  let since = 0;
  let before = 0;
  let frame = 0;

  function draw() {
    frame = 0;
    const now = world.performance.now() / 1000;
    const wanted = target * (SHAPES[special]?.(now - since) ?? 1);
    level += (wanted - level) * (1 - Math.exp(-Math.min(now - before, 0.1) / EASE_S));
    if (level < 0.002 && wanted === 0) level = 0;
    before = now;
    past.push([now, level]);
    past = past.filter(([time]) => time > now - WINDOW_S - 0.2);
    const pen = prepare(world, canvas);
    if (!pen) return;
    canvas.style.maskImage = still.matches ? "none" : "";
    if (still.matches) drawBars(pen, target);
    else drawWave(pen, past, now);
    const moving = target > 0 || past.some(([, strength]) => strength > 0);
    if (moving && !still.matches) frame = world.requestAnimationFrame(draw);
  }

  function wake() {
    if (frame) return;
    before = world.performance.now() / 1000;
    frame = world.requestAnimationFrame(draw);
  }

  still.addEventListener("change", wake);
  dark.addEventListener("change", wake);
  if ("ResizeObserver" in world) new world.ResizeObserver(wake).observe(canvas);
  wake();
  return {
    /**
     * @param {number} strength from 0 to 1
     * @param {string | undefined} shape a special's name
     */
    set(strength, shape) {
      if (strength !== target || (shape ?? "") !== special) since = world.performance.now() / 1000;
      target = strength;
      special = shape ?? "";
      wake();
    },
  };
}

/**
 * @param {Window & typeof globalThis} world
 * @param {HTMLCanvasElement} canvas
 */
function prepare(world, canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  if (!context || !width) return null;
  const ratio = Math.min(world.devicePixelRatio || 1, 3);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const style = world.getComputedStyle(canvas);
  const [from, to, line] = ["--from", "--to", "--rule"].map((name) => style.getPropertyValue(name).trim());
  const paint = context.createLinearGradient(0, 0, width, 0);
  paint.addColorStop(0, from);
  paint.addColorStop(1, to);
  return { context, width, height, paint, line };
}

/**
 * @param {NonNullable<ReturnType<typeof prepare>>} pen
 * @param {[number, number][]} past
 * @param {number} now
 */
function drawWave({ context, width, height, paint, line }, past, now) {
  const middle = height / 2;
  const reach = middle - 4;
  const points = envelope(past, now, width);
  context.fillStyle = line;
  context.globalAlpha = 1;
  context.fillRect(0, middle - 0.5, width, 1);
  context.fillStyle = paint;
  context.globalAlpha = 0.16;
  context.beginPath();
  for (const [x, , strength] of points) context.lineTo(x, middle - strength * reach);
  for (const [x, , strength] of points.toReversed()) context.lineTo(x, middle + strength * reach);
  context.fill();
  context.strokeStyle = paint;
  context.lineJoin = "round";
  for (const { hertz, height: share, alpha, width: thick } of LINES) {
    context.globalAlpha = alpha;
    context.lineWidth = thick;
    context.beginPath();
    for (const [x, time, strength] of points) {
      const swing = Math.sin(time * hertz * Math.PI * 2) * strength * share * reach;
      context.lineTo(x, middle + swing);
    }
    context.stroke();
  }
}

/**
 * The strength at every second pixel: [x, seconds, strength].
 * @param {[number, number][]} past
 * @param {number} now
 * @param {number} width
 * @returns {[number, number, number][]}
 */
function envelope(past, now, width) {
  /** @type {[number, number, number][]} */
  const points = [];
  let index = 0;
  for (let x = 0; x <= width; x += 2) {
    const time = now - (1 - x / width) * WINDOW_S;
    while (index < past.length - 1 && past[index + 1][0] <= time) index += 1;
    const known = past.length > 0 && past[index][0] <= time;
    points.push([x, time, known ? past[index][1] : 0]);
  }
  return points;
}

/**
 * For who wants no motion: twenty bars, as many lit as the toy is strong.
 * @param {NonNullable<ReturnType<typeof prepare>>} pen
 * @param {number} strength
 */
function drawBars({ context, width, height, paint, line }, strength) {
  const pitch = width / 20;
  for (let bar = 0; bar < 20; bar += 1) {
    const tall = height * (0.25 + (0.65 * bar) / 19);
    context.fillStyle = bar < Math.round(strength * 20) ? paint : line;
    context.fillRect(bar * pitch + 2, (height - tall) / 2, pitch - 4, tall);
  }
}
