// Discord's markdown, as far as bots use it, into nodes.

import { h } from "./dom.js";
import { channelName, t, userName, world } from "./net.js";

const SAFE = /^https?:\/\/[^\s<>]+$/i;

const MESSAGE = /^https:\/\/(?:\w+\.)?discord\.com\/channels\/(?:\d+|@me)\/(\d+)\/(\d+)$/;

export function safeLink(url, ...children) {
  const [, channel, message] = MESSAGE.exec(url) ?? [];
  if (message) {
    // A message's address at Discord leads to the message here, as their client treats it.
    const jump = (event) => { event.preventDefault(); document.dispatchEvent(new CustomEvent("jump", { detail: { channel, message } })); };
    return h("a", { href: "#", "data-testid": "message-link", onclick: jump }, ...children);
  }
  return SAFE.test(url)
    ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children)
    : h("span", {}, ...children);
}

const INLINE = [
  [/^\\([^a-z0-9\s])/i, (m) => m[1]],
  [/^(`{1,2})([^`]+?)\1(?!`)/, (m) => h("code", {}, m[2])],
  [/^\*\*\*(?=\S)([\s\S]+?\S|\S)\*\*\*/, (m) => h("strong", {}, h("em", {}, inline(m[1])))],
  [/^\*\*(?=\S)([\s\S]+?)\*\*(?!\*)/, (m) => h("strong", {}, inline(m[1]))],
  [/^__([\s\S]+?)__(?!_)/, (m) => h("u", {}, inline(m[1]))],
  [/^\*(?=\S)([^*]+?)\*(?!\*)/, (m) => h("em", {}, inline(m[1]))],
  [/^_(?=\S)([^_]+?)_(?![_\w])/, (m) => h("em", {}, inline(m[1]))],
  [/^~~([\s\S]+?)~~/, (m) => h("s", {}, inline(m[1]))],
  [/^\|\|([\s\S]+?)\|\|/, (m) => spoiler(inline(m[1]))],
  [/^\[([^\]\n]+)\]\(<?(https?:\/\/[^\s)>]+)>?(?:\s+"[^"]*")?\)/, (m) => safeLink(m[2], inline(m[1]))],
  [/^<(https?:\/\/[^\s>]+)>/, (m) => safeLink(m[1], m[1])],
  [/^<t:(-?\d{1,13})(?::([tTdDfFR]))?>/, (m) => timestamp(Number(m[1]), m[2] || "f")],
  [/^<@!?(\d+)>/, (m) => h("span", { class: "mention" }, "@" + userName(m[1]))],
  [/^<@&(\d+)>/, (m) => h("span", { class: "mention" }, "@" + (world.boot.roles[m[1]] ?? m[1]))],
  [/^<#(\d+)>/, (m) => h("span", { class: "mention" }, "#" + channelName(m[1]))],
  [/^<\/([^:>]+):\d+>/, (m) => h("span", { class: "mention" }, "/" + m[1])],
  [/^<a?:(\w{2,32}):\d+>/, (m) => h("span", { class: "emoji" }, `:${m[1]}:`)],
  [/^@(everyone|here)\b/, (m) => m[0]],
  [/^https?:\/\/[^\s<>]+[^\s<>.,:;"')\]]/i, (m) => safeLink(m[0], m[0])],
];

export function inline(text) {
  const out = [];
  let plain = "";
  let rest = text;
  while (rest) {
    let hit = null, make = null;
    const previous = plain.slice(-1);
    for (const [pattern, build] of INLINE) {
      // An underscore inside a word is a letter (file_names_like_this).
      if (rest[0] === "_" && /\w/.test(previous)) break;
      hit = pattern.exec(rest);
      if (hit) { make = build; break; }
    }
    if (hit) {
      if (plain) out.push(plain);
      plain = "";
      out.push(make(hit));
      rest = rest.slice(hit[0].length);
    } else if (rest[0] === "\n") {
      if (plain) out.push(plain);
      plain = "";
      out.push(h("br"));
      rest = rest.slice(1);
    } else {
      plain += rest[0];
      rest = rest.slice(1);
    }
  }
  if (plain) out.push(plain);
  return out;
}

function spoiler(children) {
  const show = (event) => { event.currentTarget.classList.add("shown"); };
  return h("span", { class: "spoiler", role: "button", tabIndex: 0, title: t("message.spoiler"), onclick: show, onkeydown: (e) => e.key === "Enter" && show(e) }, children);
}

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const FORMATS = {
  t: { timeStyle: "short" }, T: { timeStyle: "medium" }, d: { dateStyle: "short" }, D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" }, F: { dateStyle: "full", timeStyle: "short" },
};

export function relative(seconds) {
  const away = seconds - Date.now() / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(away) >= length) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(world.boot.locale, { numeric: "auto" }).format(Math.round(away / size), unit);
}

function timestamp(seconds, style) {
  const when = new Date(seconds * 1000);
  if (Number.isNaN(when.getTime())) return `<t:${seconds}>`;
  const full = new Intl.DateTimeFormat(world.boot.locale, FORMATS.F).format(when);
  const text = style === "R" ? relative(seconds) : new Intl.DateTimeFormat(world.boot.locale, FORMATS[style]).format(when);
  return h("time", { class: "stamp", datetime: when.toISOString(), title: full, dataset: style === "R" ? { relative: seconds } : {} }, text);
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Number(element.dataset.relative));
    if (element.textContent !== text) element.textContent = text;
  }
}, 1000);

/** Blocks: code fences, headings, quotes, lists, subtext; the rest is inline. */
export function markdown(text) {
  const out = [];
  const pieces = String(text).split(/```(?:([\w+-]+)\n)?([\s\S]*?)```\n?/);
  for (let index = 0; index < pieces.length; index += 3) {
    blocks(pieces[index], out);
    if (index + 2 < pieces.length) out.push(h("pre", {}, h("code", {}, pieces[index + 2].replace(/^\n|\n$/g, ""))));
  }
  return out;
}

function blocks(text, out) {
  let plain = [];
  let list = null;
  const flush = () => {
    if (plain.length) out.push(h("div", { class: "line" }, inline(plain.join("\n"))));
    plain = [];
  };
  for (const line of text.split("\n")) {
    const heading = /^(#{1,3}) (.+)$/.exec(line);
    const small = /^-# (.+)$/.exec(line);
    const quote = /^> (.*)$/.exec(line);
    const item = /^\s*(?:[-*]|(\d+)\.) (.+)$/.exec(line);
    if (!item) list = null;
    if (!heading && !small && !quote && !item) { plain.push(line); continue; }
    flush();
    if (heading) out.push(h(`h${heading[1].length + 1}`, {}, inline(heading[2])));
    else if (small) out.push(h("div", { class: "small" }, inline(small[1])));
    else if (quote) out.push(h("blockquote", {}, inline(quote[1])));
    else {
      if (!list) out.push((list = h(item[1] ? "ol" : "ul", item[1] ? { start: item[1] } : {})));
      list.append(h("li", {}, inline(item[2])));
    }
  }
  while (plain.length && plain[plain.length - 1] === "") plain.pop();
  flush();
}
