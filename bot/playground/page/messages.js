// The list of messages: drawing, live edits, and what one can do with a message.

import { byId, fill, h, icon, popup } from "./dom.js";
import { call, interact, t, userName, world } from "./net.js";
import { inline, markdown } from "./markdown.js";
import { fileRow, gallery } from "./media.js";
import { components, embed } from "./components.js";
import { openModal } from "./modal.js";

const EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🎉", "🔥", "👀", "🔁", "⬆️", "❌", "⭐", "✉️", "🎨", "✅", "🙏"];
const GROUP_MS = 7 * 60 * 1000;
const COLOURS = ["#5865f2", "#3ba55d", "#c05fa8", "#d9534f", "#3a8fb7", "#8a63d2"];
const shown = new Map();
const failures = new Map();
let replyTo = () => {};

export const onReply = (handler) => { replyTo = handler; };

export function avatar(id, size = "") {
  const user = world.boot.users[id];
  if (id === world.boot.bot.id) return h("img", { class: `avatar ${size}`, src: "/static/brush.svg", alt: "" });
  const face = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, (user?.name ?? "?").slice(0, 1).toUpperCase());
  face.style.backgroundColor = user?.colour ? `#${user.colour.toString(16).padStart(6, "0")}` : COLOURS[Number(BigInt(id) % BigInt(COLOURS.length))];
  return face;
}

function when(stamp) {
  const date = new Date(stamp);
  const time = date.toLocaleTimeString(world.boot.locale, { hour: "2-digit", minute: "2-digit" });
  const day = (offset) => new Date(Date.now() - offset * 86400000).toDateString();
  if (date.toDateString() === day(0)) return t("page.today", { time });
  if (date.toDateString() === day(1)) return t("page.yesterday", { time });
  return `${date.toLocaleDateString(world.boot.locale)} ${time}`;
}

function failureOf(id, place) {
  return (text) => {
    if (text) failures.set(id, text); else failures.delete(id);
    const target = byId(`m${id}`)?.querySelector(".failure") ?? place;
    fill(target, text && [icon("warn"), " ", text]);
    if (text) keepAtEnd();
  };
}

function reactionBar(message) {
  if (!message.reactions.length) return null;
  return h("div", { class: "reactions" }, message.reactions.map((item) => h("button", {
    type: "button", class: "reaction" + (item.me ? " mine" : ""), "aria-pressed": String(item.me), "aria-label": `${item.emoji.name} ${item.count}`,
    "data-testid": "reaction", onclick: () => react(message, item.emoji.id ? `${item.emoji.name}:${item.emoji.id}` : item.emoji.name, !item.me),
  }, h("span", { class: "emoji" }, item.emoji.name), h("span", {}, item.count))));
}

async function react(message, emoji, on) {
  try {
    await call("PUT", "/page/reactions", { body: { user: world.me, channel: message.channel_id, message: message.id, emoji, on } });
  } catch (refusal) { failureOf(message.id)(refusal.message); }
}

async function remove(message) {
  try {
    await call("DELETE", "/page/messages", { query: { user: world.me, channel: message.channel_id, message: message.id } });
  } catch (refusal) { failureOf(message.id)(refusal.message); }
}

async function runApp(message, name) {
  const fail = failureOf(message.id);
  try {
    const outcome = await interact({ kind: "context", channel: message.channel_id, name, message: message.id });
    if (outcome.kind === null) fail(t("message.no_answer"));
    else if (outcome.modal) openModal(outcome);
  } catch (refusal) { fail(refusal.message); }
}

const emojiRow = (message, close) => EMOJI.map((emoji) => h("button", { type: "button", class: "emoji", "aria-label": emoji, onclick: () => { close(); react(message, emoji, true); } }, emoji));

const appRows = (message, close) => world.commands.message.map((command) =>
  h("button", { type: "button", class: "option", role: "menuitem", "data-testid": "app-command", onclick: () => { close(); runApp(message, command.name); } }, command.label));

/** What may be done with a message: [may it, name, icon, testid, action(event)]. */
function deeds(message) {
  const mine = message.author.id === world.me;
  return [
    [!message.ephemeral, t("message.react"), "smile", "react", (event) => { const close = popup(event.currentTarget, emojiRow(message, () => close()), "popup emojis"); }],
    [!message.ephemeral && world.channel.can_send, t("message.answer"), "reply", "reply", () => replyTo(message)],
    [world.commands.message.length > 0, t("message.apps"), "apps", "apps", (event) => { const close = popup(event.currentTarget, appRows(message, () => close()), "popup menu-list"); }],
    [!message.ephemeral && (mine || world.channel.can_manage), t("message.delete"), "trash", "delete", () => remove(message)],
  ].filter(([may]) => may);
}

function toolbar(message) {
  return h("div", { class: "toolbar", role: "toolbar" }, deeds(message).map(([, name, glyph, testid, action]) =>
    h("button", { type: "button", class: "icon", "aria-label": name, title: name, "data-testid": testid, onclick: action }, icon(glyph))));
}

/** A right click, or a long press on a phone. Links and marked text keep the browser's own menu. */
function menu(event, message) {
  if (event.target.closest("a, input, textarea") || String(getSelection())) return;
  event.preventDefault();
  const rows = deeds(message).map(([, name, glyph, testid, action]) => {
    if (testid === "react") return h("div", { class: "emojis" }, emojiRow(message, () => close()).slice(8));
    if (testid === "apps") return [h("div", { class: "menu-head" }, icon(glyph), name), appRows(message, () => close())];
    return h("button", { type: "button", class: "option", role: "menuitem", onclick: () => { close(); action(); } }, icon(glyph), name);
  });
  const close = popup(event.currentTarget, rows, "popup menu-list context-menu", { x: event.clientX, y: event.clientY });
}

/** The first text of a message that has only components. */
function said(components) {
  for (const item of components ?? []) {
    const text = item.content || said(item.components);
    if (text) return text;
  }
  return "";
}

function above(message) {
  const used = message.interaction_metadata;
  if (used && used.name && (message.type === 20 || message.type === 23)) {
    const label = message.type === 20 ? "/" + used.name : used.name;
    return h("div", { class: "above" }, avatar(used.user.id, "tiny"), h("b", {}, userName(used.user.id)), " ", t("message.used", { user: "" }).trim(), " ", h("span", { class: "mention" }, label));
  }
  if (message.type === 19) {
    const target = message.referenced_message;
    if (!target) return h("div", { class: "above" }, h("i", {}, t("message.deleted")));
    const summary = (target.content || said(target.components) || "🖼").replace(/^(?:#{1,3}|-#|>) /, "");
    return h("div", { class: "above" }, avatar(target.author.id, "tiny"), h("b", {}, userName(target.author.id)), " ", h("span", { class: "summary" }, inline(summary.slice(0, 90).split("\n")[0])));
  }
  return null;
}

function draw(message) {
  const author = message.author;
  const user = world.boot.users[author.id];
  const failure = h("div", { class: "failure", role: "alert", "data-testid": "failure" });
  const fail = failureOf(message.id, failure);
  const referenced = new Set();
  if (message.flags & 32768) message.attachments.forEach((file) => referenced.add(file.id));
  const inEmbeds = JSON.stringify(message.embeds);
  const loose = message.attachments.filter((file) => !referenced.has(file.id) && !inEmbeds.includes(file.url.split("?")[0]));
  const isPicture = (file) => /^image\/(png|jpeg|gif|webp|avif)$/.test(file.content_type ?? "");
  const pictures = loose.filter(isPicture).map((file) => ({ url: file.url, description: file.description, width: file.width, height: file.height, name: file.filename, spoiler: file.filename.startsWith("SPOILER_") }));
  const name = h("span", { class: "name" }, userName(author.id));
  if (user?.colour) name.style.color = `#${user.colour.toString(16).padStart(6, "0")}`;
  const element = h("li", { id: `m${message.id}`, class: "message" + (message.ephemeral ? " ephemeral" : ""), "data-testid": "message",
    oncontextmenu: (event) => menu(event, message),
    dataset: { id: message.id, author: author.id, at: Date.parse(message.timestamp), lead: above(message) ? "1" : "" } },
    above(message),
    h("div", { class: "body" },
      h("div", { class: "gutter" }, avatar(author.id), h("time", { class: "mini" }, new Date(message.timestamp).toLocaleTimeString(world.boot.locale, { hour: "2-digit", minute: "2-digit" }))),
      h("div", { class: "content" },
        h("div", { class: "head" }, name, user?.bot && h("span", { class: "badge" }, t("message.application")), h("time", { datetime: message.timestamp }, when(message.timestamp))),
        message.loading && !message.components.length && h("div", { class: "thinking", "data-testid": "thinking" }, h("span", { class: "dots" }, h("i"), h("i"), h("i")), t("message.thinking", { bot: userName(author.id) })),
        message.content && h("div", { class: "text" }, markdown(message.content), message.edited_timestamp && h("span", { class: "edited" }, " " + t("message.edited"))),
        message.embeds.map(embed),
        components(message, fail),
        pictures.length > 0 && gallery(pictures),
        loose.filter((file) => !isPicture(file)).map((file) => fileRow({ url: file.url, name: file.filename, size: file.size })),
        reactionBar(message), failure,
        message.ephemeral && h("div", { class: "only" }, icon("eye"), " ", t("message.only_you"), " • ", h("button", { type: "button", class: "plain", "data-testid": "dismiss", onclick: () => remove(message) }, t("message.dismiss"))))),
    toolbar(message));
  if (failures.has(message.id)) fill(failure, icon("warn"), " ", failures.get(message.id));
  return element;
}

// ------------------------------------------------------------------- the list

const list = () => byId("messages");
const scroller = () => byId("scroll");
let atEnd = true;

export function keepAtEnd() {
  if (atEnd) scroller().scrollTop = scroller().scrollHeight;
}

/** Where one's own message or command is answered. */
export function toEnd() {
  atEnd = true;
  byId("newer").hidden = true;
  keepAtEnd();
}

function regroup() {
  let previous = null;
  for (const item of list().children) {
    const joined = previous && !item.dataset.lead && item.dataset.author && previous.dataset.author === item.dataset.author
      && !item.classList.contains("ephemeral") && !previous.classList.contains("ephemeral") && item.dataset.at - previous.dataset.at < GROUP_MS;
    item.classList.toggle("grouped", Boolean(joined));
    previous = item;
  }
}

/** Adds or replaces a message, where its id puts it, without stealing the focus from a button that is edited. */
export function upsert(message) {
  shown.set(message.id, message);
  const element = draw(message);
  const old = byId(`m${message.id}`);
  if (old) {
    const focused = old.contains(document.activeElement) ? document.activeElement.dataset.customId : null;
    old.replaceWith(element);
    if (focused) [...element.querySelectorAll("[data-custom-id]")].find((item) => item.dataset.customId === focused)?.focus();
  } else {
    const after = [...list().children].find((item) => item.dataset.id && BigInt(item.dataset.id) > BigInt(message.id));
    if (after) after.before(element);
    else {
      list().append(element);
      // What a button far above has begun would otherwise come unseen.
      byId("newer").hidden = atEnd;
    }
  }
  regroup();
  keepAtEnd();
}

export function drop(id) {
  shown.delete(id);
  byId(`m${id}`)?.remove();
  regroup();
}

export function reset(messages) {
  shown.clear();
  fill(list());
  atEnd = true;
  byId("newer").hidden = true;
  for (const message of messages) {
    shown.set(message.id, message);
    list().append(draw(message));
  }
  regroup();
  keepAtEnd();
}

export function prepend(messages) {
  const before = scroller().scrollHeight;
  list().prepend(...messages.map((message) => { shown.set(message.id, message); return draw(message); }));
  regroup();
  scroller().scrollTop += scroller().scrollHeight - before;
}

export const oldest = () => list().firstElementChild?.dataset.id ?? null;

/** A command on its way: shown until the bot's answer is there, or with the reason why none came. */
export function pending(label) {
  toEnd();
  const note = h("div", { class: "small" }, t("message.sending"));
  const item = h("li", { class: "message pending", "data-testid": "pending", dataset: { lead: "1" } },
    h("div", { class: "above" }, avatar(world.me, "tiny"), h("b", {}, userName(world.me)), " ", t("message.used", { user: "" }).trim(), " ", h("span", { class: "mention" }, "/" + label)),
    h("div", { class: "body" }, h("div", { class: "gutter" }, avatar(world.boot.bot.id)), h("div", { class: "content" }, h("div", { class: "head" }, h("span", { class: "name" }, world.boot.bot.name), h("span", { class: "badge" }, t("message.application"))), note)));
  const timer = setTimeout(() => { list().append(item); keepAtEnd(); }, 150);
  return {
    done: () => { clearTimeout(timer); item.remove(); },
    fail: (text) => {
      clearTimeout(timer);
      fill(note, icon("warn"), " ", text, " ", h("button", { type: "button", class: "plain", onclick: () => item.remove() }, t("message.dismiss")));
      note.className = "failure";
      note.setAttribute("role", "alert");
      note.dataset.testid = "failure";
      list().append(item);
      keepAtEnd();
    },
  };
}

export function watchScroll() {
  const place = scroller();
  place.addEventListener("scroll", () => {
    atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 60;
    if (atEnd) byId("newer").hidden = true;
  });
  byId("newer").addEventListener("click", toEnd);
  // Pictures and edits change heights after the fact.
  new ResizeObserver(keepAtEnd).observe(list());
  new ResizeObserver(keepAtEnd).observe(place);
}
