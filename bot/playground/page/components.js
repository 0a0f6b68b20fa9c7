// Message components, both generations, into elements.

import { h, icon } from "./dom.js";
import { interact, t } from "./net.js";
import { markdown, safeLink } from "./markdown.js";
import { fileRow, gallery, picture } from "./media.js";
import { emojiText, picker } from "./picker.js";
import { openModal } from "./modal.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "secondary" };

/** Sends a press or a choice; `fail(text)` shows what went wrong below the message. */
export async function press(message, component, values, element, fail) {
  element?.classList.add("busy");
  fail("");
  try {
    const outcome = await interact({ kind: "component", channel: message.channel_id, message: message.id, custom_id: component.custom_id, values });
    if (outcome.kind === null) fail(t("message.no_answer"));
    else if (outcome.modal) openModal(outcome);
  } catch (refusal) {
    fail(refusal.message);
  } finally {
    element?.classList.remove("busy");
  }
}

const mediaOf = (item, attachments) => {
  const media = item.media ?? item.file ?? {};
  const stored = attachments.find((file) => file.id === media.attachment_id || file.url === media.url) ?? {};
  return {
    url: media.url, description: item.description, spoiler: item.spoiler, width: media.width ?? stored.width, height: media.height ?? stored.height,
    name: item.name ?? stored.filename ?? decodeURIComponent(String(media.url).split("?")[0].split("/").pop()), size: item.size ?? stored.size,
  };
};

function button(message, component, fail) {
  const content = [component.emoji && h("span", { class: "emoji" }, emojiText(component.emoji)), component.label && h("span", {}, component.label)];
  const name = component.label || emojiText(component.emoji);
  if (component.style === 5) {
    const link = safeLink(component.url, ...content, icon("out"));
    link.className = "button link";
    return link;
  }
  const element = h("button", { type: "button", class: `button ${STYLES[component.style]}`, disabled: component.disabled, "aria-label": name,
    "data-testid": "component-button", dataset: { customId: component.custom_id } }, content);
  element.addEventListener("click", () => press(message, component, undefined, element, fail));
  return element;
}

function one(message, component, fail) {
  const inner = (list) => (list ?? []).map((child) => one(message, child, fail));
  switch (component.type) {
    case 1: return h("div", { class: "row" }, inner(component.components));
    case 2: return button(message, component, fail);
    case 3: case 5: case 6: case 7: case 8: {
      const box = picker(component, { onDone: (values) => press(message, component, values, box.element, fail) });
      return box.element;
    }
    case 9: return h("div", { class: "section" }, h("div", { class: "texts" }, inner(component.components)), h("div", { class: "accessory" }, one(message, component.accessory, fail)));
    case 10: return h("div", { class: "text" }, markdown(component.content));
    case 11: {
      const item = mediaOf(component, message.attachments);
      return h("div", { class: "thumbnail" }, picture(item, [item], 0));
    }
    case 12: return gallery(component.items.map((item) => mediaOf(item, message.attachments)));
    case 13: return fileRow(mediaOf(component, message.attachments));
    case 14: return h(component.divider === false ? "div" : "hr", { class: `separator s${component.spacing ?? 1}` });
    case 17: {
      const accent = typeof component.accent_color === "number" ? `#${component.accent_color.toString(16).padStart(6, "0")}` : null;
      const box = h("div", { class: "container" + (component.spoiler ? " veiled" : ""), "data-testid": "container" }, inner(component.components));
      if (accent) { box.classList.add("accented"); box.style.borderLeftColor = accent; }
      if (component.spoiler) box.addEventListener("click", () => box.classList.remove("veiled"), { once: true });
      return box;
    }
    default: return h("div", { class: "small" }, `[${component.type}]`);
  }
}

export function components(message, fail) {
  return message.components.length ? h("div", { class: "components" }, message.components.map((item) => one(message, item, fail))) : null;
}

export function embed(found) {
  const picturesOf = (media) => media?.url && { url: media.proxy_url ?? media.url, description: media.description, width: media.width, height: media.height };
  const image = picturesOf(found.image), thumbnail = picturesOf(found.thumbnail);
  const box = h("article", { class: "embed", "data-testid": "embed" },
    h("div", { class: "embedded" },
      found.author?.name && h("div", { class: "author" }, found.author.url ? safeLink(found.author.url, found.author.name) : found.author.name),
      found.title && h("div", { class: "title" }, found.url ? safeLink(found.url, found.title) : markdown(found.title)),
      found.description && h("div", { class: "text" }, markdown(found.description)),
      found.fields?.length && h("dl", { class: "fields" }, found.fields.map((field) => h("div", { class: field.inline ? "inline" : "" }, h("dt", {}, field.name), h("dd", {}, markdown(field.value))))),
      image && picture(image, [image], 0),
      (found.footer?.text || found.timestamp) && h("div", { class: "footer" }, [found.footer?.text, found.timestamp && new Date(found.timestamp).toLocaleString()].filter(Boolean).join(" • "))),
    thumbnail && h("div", { class: "thumbnail" }, picture(thumbnail, [thumbnail], 0)));
  if (typeof found.color === "number") box.style.borderLeftColor = `#${found.color.toString(16).padStart(6, "0")}`;
  return box;
}
