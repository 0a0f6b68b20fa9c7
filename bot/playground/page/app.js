// Puts the page together: who one is, where one is, and what comes in live.

import { byId, fill, h, icon, popup } from "./dom.js";
import { call, follow, Refusal, t, userName, world } from "./net.js";
import * as messages from "./messages.js";
import { channelChanged, mountComposer, refreshCommands, setReply } from "./composer.js";

let stop = null, typingTimer = 0, line = { lost: false };
const kept = (name) => { try { return sessionStorage.getItem(name) || localStorage.getItem(name); } catch { return null; } };
const keep = (name, value) => { try { sessionStorage.setItem(name, value); localStorage.setItem(name, value); } catch { /* private window */ } };

async function start(user) {
  stop?.();
  world.boot = await call("GET", "/page/boot", { query: { user } });
  world.me = world.boot.me;
  keep("me", world.me);
  document.documentElement.lang = world.boot.locale;
  drawSide();
  if (!byId("box")) mountComposer();
  messages.onReply(setReply);
  const before = kept("channel");
  await openChannel(world.boot.channels.find((row) => row.id === before) ?? world.boot.channels.find((row) => row.name === "studio") ?? world.boot.channels[0]);
  stop = follow(live);
}

// ------------------------------------------------------------------- the side

function channelRow(row) {
  const open = row.id === world.channel?.id;
  return h("button", { type: "button", class: `channel ${row.kind}` + (open ? " open" : ""), "aria-current": open ? "page" : null, "data-testid": `channel-${row.kind === "dm" ? "dm" : row.name}`,
    onclick: () => { openChannel(row); showSide(false); } },
    row.kind === "dm" ? h("img", { class: "avatar small", src: "/static/brush.svg", alt: "" }) : h("span", { class: "hash", "aria-hidden": "true" }, row.kind === "thread" ? "↳" : "#"),
    h("span", { class: "label" }, row.name),
    row.nsfw && row.kind === "text" && h("span", { class: "badge nsfw", title: t("page.nsfw") }, "18+"));
}

function drawSide() {
  const { boot } = world;
  fill(byId("guild"), h("img", { src: "/static/brush.svg", alt: "", width: 28, height: 28 }), h("span", {}, boot.guild));
  const rooms = boot.channels.filter((row) => row.kind === "text").flatMap((row) => [row, ...boot.channels.filter((child) => child.parent === row.id)]);
  fill(byId("channels"),
    h("h2", {}, t("page.channels")), rooms.map(channelRow),
    h("h2", {}, t("page.direct")), boot.channels.filter((row) => row.kind === "dm").map(channelRow),
    h("p", { class: "small local" }, t("page.local")));
  byId("side").setAttribute("aria-label", t("page.channels"));
  const me = boot.users[world.me];
  const person = h("button", { type: "button", class: "person", "aria-haspopup": "menu", "aria-label": `${t("page.people")}: ${me.name}`, "data-testid": "user-switch" },
    messages.avatar(world.me), h("span", { class: "who" }, h("b", {}, me.name), h("small", {}, t("page.people"))), icon("chevron"));
  person.addEventListener("click", () => {
    const close = popup(person, Object.entries(boot.people).map(([name, id]) => h("button", { type: "button", class: "option", role: "menuitemradio", "aria-checked": String(id === world.me), "data-testid": `user-${name}`,
      onclick: () => { close(); start(id); } }, messages.avatar(id, "small"), h("span", { class: "what" }, name), id === world.me && icon("check"))), "popup menu-list");
  });
  const names = new Intl.DisplayNames([boot.locale], { type: "language" });
  const language = h("select", { class: "language", "aria-label": t("page.language"), title: t("page.language"), "data-testid": "language" },
    boot.locales.map((code) => h("option", { value: code, selected: code === boot.locale }, `${names.of(code)}`)));
  language.value = boot.locale;
  language.addEventListener("change", async () => {
    await call("PUT", "/page/locale", { body: { user: world.me, locale: language.value } });
    start(world.me);
  });
  fill(byId("self"), person, language);
  fill(byId("menu"), icon("menu"));
  byId("menu").setAttribute("aria-label", t("page.menu"));
}

function showSide(open) {
  document.body.classList.toggle("side-open", open);
  byId("menu").setAttribute("aria-expanded", String(open));
}

// ---------------------------------------------------------------- the channel

async function openChannel(row) {
  world.channel = row;
  keep("channel", row.id);
  drawSide();
  const direct = row.kind === "dm";
  document.querySelector(".top .hash").textContent = direct ? "@" : row.kind === "thread" ? "↳" : "#";
  byId("title").textContent = row.name;
  document.title = `${direct ? "@" : "#"}${row.name} · ${world.boot.guild}`;
  byId("topic").textContent = row.topic;
  byId("nsfw").hidden = !row.nsfw;
  byId("nsfw").textContent = t("page.nsfw");
  byId("messages").setAttribute("aria-label", t("page.messages", { channel: row.name }));
  byId("earlier").textContent = t("message.earlier");
  byId("newer").textContent = `↓ ${t("message.newer")}`;
  drawBanner();
  await refetch();
  if (world.channel === row) channelChanged();
}

async function refetch() {
  const query = { user: world.me, channel: world.channel.id };
  const [found, commands] = await Promise.all([call("GET", "/page/messages", { query }), call("GET", "/page/commands", { query })]);
  if (query.channel !== world.channel.id || query.user !== world.me) return;
  world.commands = commands;
  showIntro(found.more);
  messages.reset(found.messages);
}

function showIntro(more) {
  byId("earlier").hidden = !more;
  byId("intro").hidden = more;
  const direct = world.channel.kind === "dm";
  fill(byId("intro"), h("div", { class: "big" }, direct ? "@" : "#"), h("h2", {}, t(direct ? "page.welcome_direct" : "page.welcome", { channel: world.channel.name })), h("p", { class: "small" }, t("page.begin")));
}

async function loadEarlier() {
  const found = await call("GET", "/page/messages", { query: { user: world.me, channel: world.channel.id, before: messages.oldest() } });
  showIntro(found.more);
  messages.prepend(found.messages);
}

const EARLIER_AT_MOST = 20;

async function jump({ channel, message }) {
  const row = world.boot.channels.find((item) => item.id === channel);
  if (!row) return;
  if (world.channel !== row) await openChannel(row);
  const found = () => document.querySelector(`#messages [data-id="${message}"]`);
  for (let tries = 0; !found() && !byId("earlier").hidden && tries < EARLIER_AT_MOST; tries += 1) await loadEarlier();
  const item = found();
  if (!item) return;
  item.scrollIntoView({ block: "center" });
  item.classList.add("pointed");
  setTimeout(() => item.classList.remove("pointed"), 2000);
}

document.addEventListener("jump", (event) => jump(event.detail));

function drawBanner() {
  const { bot } = world.boot;
  const text = line.lost || (bot.online ? "" : t(bot.seen ? "bot.away" : "bot.starting"));
  byId("banner").hidden = !text;
  fill(byId("banner"), text && [h("span", { class: "spinner", "aria-hidden": "true" }), " ", text]);
}

// ------------------------------------------------------------------------ live

async function live(event) {
  const here = event.channel === world.channel?.id;
  switch (event.t) {
    case "message":
      if (here) {
        if (event.message.author.id === world.boot.bot.id) fill(byId("typing"));
        messages.upsert(event.message);
      }
      break;
    case "delete": if (here) messages.drop(event.id); break;
    case "bot":
      Object.assign(world.boot.bot, { online: event.online, seen: event.seen });
      drawBanner();
      break;
    case "typing":
      if (here) {
        fill(byId("typing"), t("message.typing", { user: userName(world.boot.bot.id) }));
        clearTimeout(typingTimer);
        typingTimer = setTimeout(() => fill(byId("typing")), 10000);
      }
      break;
    case "commands":
      world.commands = await call("GET", "/page/commands", { query: { user: world.me, channel: world.channel.id } });
      refreshCommands();
      break;
    case "channels": {
      const fresh = await call("GET", "/page/boot", { query: { user: world.me } });
      Object.assign(world.boot, { channels: fresh.channels, roles: fresh.roles });
      drawSide();
      break;
    }
    case "lost": line.lost = event.text; drawBanner(); break;
    case "found":
      line.lost = false;
      drawBanner();
      try { await refetch(); } catch (refusal) { if (refusal instanceof Refusal && refusal.key === "error.key") location.reload(); }
      break;
  }
}

byId("menu").addEventListener("click", () => showSide(!document.body.classList.contains("side-open")));
document.querySelector(".room").addEventListener("pointerdown", (event) => { if (!event.target.closest("#menu")) showSide(false); });
byId("earlier").addEventListener("click", loadEarlier);
// The key did its work: the cookie holds now, and the address bar need not show it.
if (location.search) history.replaceState(null, "", "/");
messages.watchScroll();
start(kept("me")).catch(() => { try { sessionStorage.clear(); localStorage.clear(); } catch { /* private window */ } start(null); });
