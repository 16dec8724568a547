// Small helpers: elements whose words are always text, and requests to the demo's platform.

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string | null)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * The platform's answer; a refusal's own sentence as an Error.
 * @param {string} path
 * @param {unknown} [body] makes it a POST
 */
export async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(`/demo/api/${path}`, body === undefined ? {} : post);
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  throw new Error(sentence(text) ?? `The platform answered ${answer.status}.`);
}

/** @param {string} text */
function sentence(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return undefined;
  }
}
