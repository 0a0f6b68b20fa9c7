// Elements from data. Text only ever becomes text nodes; nothing here parses markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "multiple", "selected", "tabIndex"]);

/** h("button", { class: "x", onclick }, "text", child, [children], null) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) {
      if (PROPERTIES.has(name)) element[name] = false;
    } else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) element.append(String(child));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

export const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  menu: "M3 6h18v2H3zm0 5h18v2H3zm0 5h18v2H3z",
  send: "M3 20.5v-6.200l9-2.300-9-2.300V3.500L22 12z",
  plus: "M11 4h2v7h7v2h-7v7h-2v-7H4v-2h7z",
  close: "M6.400 5L12 10.600 17.600 5 19 6.400 13.400 12l5.600 5.600-1.400 1.400L12 13.400 6.400 19 5 17.600 10.600 12 5 6.400z",
  trash: "M9 3h6l1 2h4v2H4V5h4zM6 9h12l-1 12H7z",
  smile: "M12 2a10 10 0 100 20 10 10 0 000-20zm-3.500 7a1.500 1.500 0 110 3 1.500 1.500 0 010-3zm7 0a1.500 1.500 0 110 3 1.500 1.500 0 010-3zM7 14h10a5 5 0 01-10 0z",
  reply: "M10 8V4l-8 8 8 8v-4.500c5.500 0 9 1.700 11.500 5.500C20.500 15 17.500 9 10 8z",
  dots: "M5 10a2 2 0 110 4 2 2 0 010-4zm7 0a2 2 0 110 4 2 2 0 010-4zm7 0a2 2 0 110 4 2 2 0 010-4z",
  file: "M6 2h8l5 5v15H6zM13 3.500V8h4.500z",
  down: "M11 3h2v9l3.500-3.500 1.400 1.400L12 16l-5.900-6.100 1.400-1.400L11 12zM4 19h16v2H4z",
  chevron: "M6.400 8.600L12 14.200l5.600-5.600L19 10l-7 7-7-7z",
  eye: "M12 5c5 0 8.700 3.500 10 7-1.300 3.500-5 7-10 7S3.300 15.500 2 12c1.300-3.500 5-7 10-7zm0 3a4 4 0 100 8 4 4 0 000-8z",
  out: "M14 3h7v7h-2V6.400l-8.300 8.300-1.400-1.400L17.600 5H14zM5 5h6v2H7v10h10v-4h2v6H5z",
  warn: "M12 2a10 10 0 100 20 10 10 0 000-20zm-1 5h2v7h-2zm0 8.500h2v2h-2z",
  check: "M9.500 16.200L5.300 12l-1.400 1.400 5.600 5.600L20.100 8.400 18.700 7z",
  apps: "M4 4h7v7H4zm9 0h7v7h-7zM4 13h7v7H4zm9 0h7v7h-7z",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("glyph");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A small menu beside `anchor`, or at `point` ({x, y}); closes on choice, Escape, or a press elsewhere. */
export function popup(anchor, content, className = "popup", point = null) {
  const host = anchor.closest("dialog") || byId("layer");
  const box = h("div", { class: className }, content);
  host.append(box);
  const at = point ? { left: point.x, right: point.x, top: point.y, bottom: point.y } : anchor.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  const left = Math.min(Math.max(8, point ? at.left : at.right - size.width), innerWidth - size.width - 8);
  const below = at.bottom + 4 + size.height < innerHeight;
  box.style.left = `${Math.max(8, left)}px`;
  box.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - size.height - 4)}px`;
  const close = () => {
    box.remove();
    document.removeEventListener("pointerdown", outside, true);
    document.removeEventListener("keydown", key, true);
  };
  const outside = (event) => { if (!box.contains(event.target) && (point || !anchor.contains(event.target))) close(); };
  const key = (event) => {
    if (event.key === "Escape") { event.stopPropagation(); event.preventDefault(); close(); anchor.focus(); }
  };
  document.addEventListener("pointerdown", outside, true);
  document.addEventListener("keydown", key, true);
  return close;
}
