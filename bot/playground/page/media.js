// Pictures, files, and the lightbox.

import { h, icon } from "./dom.js";
import { t } from "./net.js";
import { safeLink } from "./markdown.js";

const ours = (url) => typeof url === "string" && url.startsWith("/cdn/");

function bytes(size) {
  if (!size) return "";
  return size > 1048576 ? `${(size / 1048576).toFixed(2)} MB` : `${Math.max(1, Math.round(size / 1024))} KB`;
}

/** item: {url, description, width, height, spoiler, name} */
export function picture(item, all, index) {
  const alt = item.description || t("message.image");
  // Only our own files are shown: the page fetches nothing from elsewhere.
  if (!ours(item.url)) return h("div", { class: "outside" }, icon("out"), safeLink(item.url, item.description || item.url));
  const image = h("img", { src: item.url, alt, loading: "lazy", decoding: "async", width: item.width, height: item.height });
  const button = h("button", { type: "button", class: "shot" + (item.spoiler ? " veiled" : ""), "aria-label": alt, "data-testid": "picture" }, image,
    item.spoiler && h("span", { class: "veil" }, t("message.spoiler")));
  button.addEventListener("click", () => {
    if (button.classList.contains("veiled")) button.classList.remove("veiled");
    else lightbox(all, index);
  });
  return button;
}

export function gallery(items) {
  return h("div", { class: `gallery n${Math.min(items.length, 10)}`, "data-testid": "gallery" }, items.map((item, index) => picture(item, items, index)));
}

export function fileRow(item) {
  return h("div", { class: "file", "data-testid": "file" }, icon("file"),
    h("div", {}, h("a", { href: ours(item.url) ? `${item.url}&download=1` : "#", download: item.name, "aria-label": t("file.download", { file: item.name }) }, item.name),
      h("div", { class: "size" }, bytes(item.size))));
}

export function lightbox(items, index) {
  const shown = items.filter((item) => ours(item.url));
  let at = Math.max(0, shown.indexOf(items[index]));
  const image = h("img", { "data-testid": "lightbox-image" });
  const caption = h("figcaption", {});
  const link = h("a", { class: "icon", target: "_blank", rel: "noopener" }, icon("down"));
  const show = (step) => {
    at = (at + step + shown.length) % shown.length;
    const item = shown[at];
    image.src = item.url;
    image.alt = item.description || t("message.image");
    caption.textContent = item.description || "";
    link.href = `${item.url}&download=1`;
    link.setAttribute("aria-label", t("file.download", { file: item.name || "" }));
  };
  const side = (step, label) => shown.length > 1 && h("button", { type: "button", class: `icon turn ${label}`, "aria-label": step < 0 ? "←" : "→", onclick: () => show(step) }, icon("chevron"));
  const box = h("dialog", { class: "lightbox", "data-testid": "lightbox" },
    h("figure", {}, image, caption),
    h("div", { class: "tools" }, link, h("button", { type: "button", class: "icon", "aria-label": t("modal.close"), onclick: () => box.close() }, icon("close"))),
    side(-1, "back"), side(1, "next"));
  box.addEventListener("click", (event) => { if (event.target === box || event.target.tagName === "FIGURE") box.close(); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(-1);
    if (event.key === "ArrowRight") show(1);
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  show(0);
  box.showModal();
}
