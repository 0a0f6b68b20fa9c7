// Where one writes: plain messages, and commands with their options, suggestions and files.

import { byId, fill, h, icon } from "./dom.js";
import { call, interact, t, world } from "./net.js";
import { commandOf, matching, optionsOf } from "./parse.js";
import { pending, toEnd } from "./messages.js";
import { openModal } from "./modal.js";

const ATTACHMENT = 11, BOOLEAN = 5, USER = 6, CHANNEL = 7, ROLE = 8, MENTIONABLE = 9;
const DEBOUNCE_MS = 150;

let area, mirror, panel, tray, replyBar, fileInput;
let files = {};        // option name → File while a command is typed
let loose = [];        // files of a plain message
let picked = {};       // option name → {text, value}: what a suggestion stands for
let problems = {};     // option name → sentence; "" for the whole command
let rows = [];         // suggestions shown now
let active = -1;
let answers = { key: "", rows: null };
let timer = 0, asked = 0, escaped = "";
let reply = null, lastSent = "", wanted = null;

const parsed = () => {
  const found = commandOf(area.value, world.commands.slash);
  if (!found) return null;
  return { command: found.command, end: found.end, options: optionsOf(area.value, found.command, found.end) };
};

export function mountComposer() {
  area = h("textarea", { id: "box", rows: 1, spellcheck: "true", autocomplete: "off", role: "combobox", "aria-expanded": "false", "aria-controls": "suggestions", "aria-autocomplete": "list", "data-testid": "composer", maxlength: 8000 });
  mirror = h("div", { class: "mirror", "aria-hidden": "true" });
  panel = h("div", { class: "panel", "data-testid": "command-panel", hidden: true });
  tray = h("div", { class: "tray", hidden: true });
  replyBar = h("div", { class: "replying", hidden: true });
  fileInput = h("input", { type: "file", hidden: true, multiple: true, "data-testid": "file-input" });
  const attach = h("button", { type: "button", class: "icon attach", "data-testid": "attach", onclick: () => { wanted = null; fileInput.click(); } }, icon("plus"));
  const send = h("button", { type: "button", class: "icon send", "data-testid": "send", onclick: submit }, icon("send"));
  fill(byId("composer"), panel, replyBar, tray, h("div", { class: "bar" }, attach, h("div", { class: "field" }, mirror, area), send), fileInput);
  area.addEventListener("input", () => { problems = {}; escaped = ""; active = -1; refresh(); });
  area.addEventListener("keydown", keys);
  for (const name of ["click", "keyup", "focus"]) area.addEventListener(name, (event) => { if (!["ArrowUp", "ArrowDown", "Enter", "Tab", "Escape"].includes(event.key)) refresh(); });
  area.addEventListener("scroll", () => { mirror.scrollTop = area.scrollTop; });
  area.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); take(event.clipboardData.files); } });
  fileInput.addEventListener("change", () => { take(fileInput.files); fileInput.value = ""; });
  const room = document.querySelector(".room");
  room.addEventListener("dragover", (event) => { event.preventDefault(); room.classList.add("dropping"); });
  room.addEventListener("dragleave", (event) => { if (!room.contains(event.relatedTarget)) room.classList.remove("dropping"); });
  room.addEventListener("drop", (event) => { event.preventDefault(); room.classList.remove("dropping"); take(event.dataTransfer.files); });
  // Typing anywhere writes here, as in Discord.
  document.addEventListener("keydown", (event) => {
    const idle = document.activeElement === document.body || document.activeElement === byId("scroll");
    if (idle && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) area.focus();
  });
}

export function channelChanged() {
  for (const name of ["attach", "send"]) {
    const button = document.querySelector(`.bar .${name}`);
    button.title = t(`page.${name}`);
    button.setAttribute("aria-label", button.title);
  }
  const direct = world.channel.kind === "dm";
  const open = world.channel.can_send;
  const label = open ? t(direct ? "page.placeholder_direct" : "page.placeholder", { channel: world.channel.name }) : t("page.read_only");
  area.placeholder = label;
  area.setAttribute("aria-label", label);
  setReply(null);
  clear();
  if (matchMedia("(hover: hover)").matches) area.focus();
}

export function setReply(message) {
  reply = message;
  replyBar.hidden = !message;
  if (message) {
    fill(replyBar, t("message.reply", { user: world.boot.users[message.author.id]?.name ?? "?" }), h("button", { type: "button", class: "icon", "aria-label": t("page.cancel_reply"), onclick: () => setReply(null) }, icon("close")));
    area.focus();
  }
}

export const refreshCommands = () => refresh();

function clear() {
  area.value = "";
  files = {}; loose = []; picked = {}; problems = {}; rows = []; active = -1; escaped = "";
  refresh();
}

function take(list) {
  const found = parsed();
  const slots = found?.command.options.filter((option) => option.type === ATTACHMENT) ?? [];
  for (const file of list) {
    const slot = slots.find((option) => option.name === wanted) ?? slots.find((option) => !files[option.name]);
    if (slot) { files[slot.name] = file; delete problems[slot.name]; } else if (!found) loose.push(file);
    wanted = null;
  }
  refresh();
  area.focus();
}

// --------------------------------------------------------------------- drawing

function refresh() {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight, 200)}px`;
  drawMirror();
  drawTray();
  suggest();
  drawPanel();
}

function drawMirror() {
  const found = parsed();
  if (!found) { fill(mirror, area.value); return; }
  const spots = Object.entries(found.options).filter(([, spot]) => spot.start > spot.from).sort((a, b) => a[1].from - b[1].from);
  const parts = [h("mark", { class: "command" }, area.value.slice(0, found.end))];
  let at = found.end;
  for (const [name, spot] of spots) {
    parts.push(area.value.slice(at, spot.from), h("mark", { class: problems[name] ? "bad" : "" }, area.value.slice(spot.from, spot.start)));
    at = spot.start;
  }
  fill(mirror, parts, area.value.slice(at) + "\u200b");
}

function drawTray() {
  tray.hidden = !loose.length;
  fill(tray, loose.map((file, index) => h("span", { class: "chip filled" }, icon("file"), file.name,
    h("button", { type: "button", class: "icon", "aria-label": t("file.remove", { file: file.name }), onclick: () => { loose.splice(index, 1); refresh(); } }, icon("close")))));
}

function focusedOption(found) {
  const caret = area.selectionStart;
  for (const option of found.command.options) {
    const spot = found.options[option.name];
    if (spot && caret >= spot.start && caret <= spot.end) return option;
  }
  return null;
}

function chip(option, found) {
  const file = files[option.name];
  const set = Boolean(file || found.options[option.name]?.text);
  const bad = problems[option.name];
  const press = () => (option.type === ATTACHMENT ? choose(option) : insert(option, found));
  return h("span", { class: "chip" + (set ? " filled" : "") + (bad ? " bad" : ""), "data-testid": "option-chip", dataset: { option: option.name } },
    h("button", { type: "button", class: "plain", title: option.description, onclick: press }, option.label, option.required && !set ? " *" : "", file ? `: ${file.name}` : ""),
    file && h("button", { type: "button", class: "icon", "aria-label": t("file.remove", { file: file.name }), onclick: () => { delete files[option.name]; refresh(); } }, icon("close")));
}

function choose(option) {
  wanted = option.name;
  fileInput.click();
}

function insert(option, found) {
  const spot = found.options[option.name];
  if (spot) area.setSelectionRange(spot.start + (area.value.slice(spot.start, spot.end).trimEnd().length), spot.start + area.value.slice(spot.start, spot.end).trimEnd().length);
  else {
    area.value = `${area.value.trimEnd()} ${option.label}: `;
    area.setSelectionRange(area.value.length, area.value.length);
  }
  area.focus();
  refresh();
}

function drawPanel() {
  const found = parsed();
  const typing = area.value.startsWith("/") && escaped !== area.value;
  const whole = problems[""];
  panel.hidden = !typing && !whole;
  area.setAttribute("aria-expanded", String(typing && rows.length > 0));
  if (panel.hidden) { fill(panel); return; }
  const bad = Object.entries(problems).filter(([name]) => name);
  const option = found && focusedOption(found);
  const problem = whole || (bad.length ? bad.map(([name, text]) => `${labelOf(found, name)}: ${text}`).join(" ") : "");
  fill(panel,
    problem && h("p", { class: "problem", role: "alert", "data-testid": "composer-problem" }, icon("warn"), " ", problem),
    rows.length > 0 && h("div", { class: "suggestions", role: "listbox", id: "suggestions", "aria-label": found ? t("page.suggestions") : t("page.commands"), "data-testid": "suggestions" }, rows.map(drawRow)),
    typing && !found && !rows.length && h("p", { class: "small pad" }, t(world.commands.slash.length ? "command.none" : "command.empty")),
    found && h("div", { class: "chosen-command" }, h("div", {}, h("b", {}, "/" + found.command.label), " ", h("span", { class: "small" }, option ? `${option.label} — ${option.description}` : found.command.description)),
      found.command.options.length > 0 && h("div", { class: "chips", "aria-label": t("page.options") }, found.command.options.map((item) => chip(item, found)))));
  const row = panel.querySelector("[aria-selected=true]");
  row?.scrollIntoView({ block: "nearest" });
  if (row) area.setAttribute("aria-activedescendant", row.id); else area.removeAttribute("aria-activedescendant");
}

const labelOf = (found, name) => found?.command.options.find((option) => option.name === name)?.label ?? name;

function drawRow(row, index) {
  return h("button", { type: "button", class: "suggestion", role: "option", id: `suggestion-${index}`, tabIndex: -1, "aria-selected": String(index === active), "data-testid": "suggestion",
    onmousedown: (event) => event.preventDefault(), onclick: () => accept(row) },
    h("span", { class: "what" }, h("span", {}, row.label), row.note && h("small", {}, row.note)), row.side && h("small", { class: "side-note" }, row.side));
}

// ----------------------------------------------------------------- suggestions

function suggest() {
  const found = parsed();
  rows = [];
  if (!area.value.startsWith("/") || escaped === area.value) return;
  if (!found || (area.selectionStart <= found.end && !area.value.slice(found.end).trim() && !/\s$/.test(area.value))) {
    if (/\s$/.test(area.value) && !matching(area.value, world.commands.slash).length) return;
    rows = matching(area.value, world.commands.slash).map((command) => ({
      kind: "command", command, label: "/" + command.label, note: command.description,
      side: command.options.filter((option) => option.required).map((option) => option.label).join("  "),
    }));
    return;
  }
  const option = focusedOption(found);
  if (!option) return;
  const text = found.options[option.name].text;
  const explicit = found.options[option.name].start > found.options[option.name].from;
  if (!explicit) return;
  const typed = text.toLowerCase();
  const done = picked[option.name]?.text === text && text;
  const value = (label, item, note) => ({ kind: "value", option, label, value: item, note });
  const filter = (list) => (done ? [] : list.filter((row) => row.label.toLowerCase().includes(typed.replace(/^[@#]/, ""))).slice(0, 25));
  if (option.choices.length) rows = filter(option.choices.map((choice) => value(choice.name, choice.value)));
  else if (option.type === BOOLEAN) rows = filter([value("True", true), value("False", false)]);
  else if ([USER, MENTIONABLE].includes(option.type)) rows = filter(Object.entries(world.boot.users).map(([id, user]) => value("@" + user.name, id)));
  else if (option.type === CHANNEL) rows = filter(world.boot.channels.filter((row) => row.kind !== "dm").map((row) => value("#" + row.name, row.id)));
  if ([ROLE, MENTIONABLE].includes(option.type)) rows.push(...filter(Object.entries(world.boot.roles).map(([id, name]) => value("@" + name.replace(/^@/, ""), id))));
  if (option.autocomplete) askBot(found, option, text, done);
  if (active >= rows.length) active = -1;
}

/** Autocomplete: the last answer stays on show until the next one is there. */
function askBot(found, option, text, done) {
  if (done) return;
  const key = JSON.stringify([found.command.name, option.name, text, world.channel.id]);
  if (answers.option === option.name && answers.rows) rows = answers.rows;
  if (answers.key === key) return;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const number = ++asked;
    answers = { ...answers, key };
    try {
      const given = valuesOf(found);
      given[option.name] = text;
      const outcome = await interact({ kind: "autocomplete", name: found.command.name, options: given, focused: option.name });
      if (number !== asked) return;
      answers = { key, option: option.name, rows: outcome.choices.map((choice) => ({ kind: "value", option, label: choice.name, value: choice.value })) };
    } catch {
      if (number === asked) answers = { key, option: option.name, rows: [] };
    }
    if (number === asked) { suggest(); drawPanel(); }
  }, DEBOUNCE_MS);
}

function accept(row) {
  active = -1;
  if (row.kind === "command") {
    const first = row.command.options.find((option) => option.required && option.type !== ATTACHMENT);
    area.value = `/${row.command.label} ` + (first ? `${first.label}: ` : "");
    files = {}; picked = {}; problems = {};
    area.setSelectionRange(area.value.length, area.value.length);
  } else {
    const found = parsed();
    const spot = found.options[row.option.name];
    picked[row.option.name] = { text: row.label.trim(), value: row.value };
    const tail = area.value.slice(spot.end);
    const head = `${area.value.slice(0, spot.start).trimEnd()} ${row.label}`;
    area.value = `${head} ${tail.trimStart()}`;
    area.setSelectionRange(head.length + 1, head.length + 1);
    delete problems[row.option.name];
  }
  area.focus();
  refresh();
}

function keys(event) {
  if (event.isComposing) return;
  const open = !panel.hidden && rows.length > 0;
  if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    active = active < 0 ? (step > 0 ? 0 : rows.length - 1) : (active + step + rows.length) % rows.length;
    drawPanel();
  } else if (open && event.key === "Tab" && !event.shiftKey) {
    event.preventDefault();
    accept(rows[Math.max(0, active)]);
  } else if (event.key === "Escape" && !panel.hidden) {
    event.preventDefault();
    escaped = area.value;
    problems = {};
    rows = [];
    drawPanel();
  } else if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    if (open && active >= 0) accept(rows[active]);
    else if (open && rows[0].kind === "command" && !parsed()) accept(rows[0]);
    else submit();
  } else if (event.key === "ArrowUp" && !area.value && lastSent) {
    event.preventDefault();
    area.value = lastSent;
    refresh();
  }
}

// --------------------------------------------------------------------- sending

function valuesOf(found) {
  const given = {};
  for (const option of found.command.options) {
    const spot = found.options[option.name];
    if (files[option.name]) given[option.name] = option.name;
    else if (spot && spot.text !== "") given[option.name] = picked[option.name]?.text === spot.text ? picked[option.name].value : mention(option, spot.text);
  }
  return given;
}

/** A name typed out (@Admin, #studio) stands for its id. */
function mention(option, text) {
  const name = text.replace(/^[@#]/, "").toLowerCase();
  const users = Object.entries(world.boot.users).map(([id, user]) => [id, user.name]);
  const lists = { [USER]: users, [CHANNEL]: world.boot.channels.map((row) => [row.id, row.name]), [ROLE]: Object.entries(world.boot.roles), [MENTIONABLE]: [...users, ...Object.entries(world.boot.roles)] };
  return lists[option.type]?.find(([, label]) => label.toLowerCase().replace(/^@/, "") === name)?.[0] ?? text;
}

async function submit() {
  const text = area.value;
  if (text.startsWith("/") && escaped !== text) {
    const found = parsed();
    if (found) await run(found);
    else { problems = { "": t("command.unknown", { name: text.slice(1).split(/\s/)[0] }) }; drawPanel(); }
    return;
  }
  if (!text.trim() && !loose.length) return;
  const parts = Object.fromEntries(loose.map((file, index) => [`file${index}`, file]));
  const kept = [text, loose, reply];
  lastSent = text;
  clear();
  toEnd();
  const to = reply?.id;
  setReply(null);
  try {
    await call("POST", "/page/messages", { body: { user: world.me, channel: world.channel.id, content: text, reply_to: to }, files: parts });
  } catch (refusal) {
    [area.value, loose] = kept;
    setReply(kept[2]);
    problems = { "": refusal.message };
    refresh();
  }
}

async function run(found) {
  const given = valuesOf(found);
  problems = {};
  for (const option of found.command.options) {
    if (option.required && !(option.name in given)) problems[option.name] = t("option.required");
  }
  if (Object.keys(problems).length) {
    const option = found.command.options.find((item) => problems[item.name]);
    if (option.type !== ATTACHMENT) insert(option, found);
    drawMirror();
    drawPanel();
    return;
  }
  const kept = { text: area.value, files, picked };
  const sent = Object.fromEntries(Object.entries(files).filter(([name]) => name in given));
  lastSent = area.value;
  clear();
  const note = pending(found.command.label);
  try {
    const outcome = await interact({ kind: "slash", name: found.command.name, options: given }, sent);
    if (outcome.kind === null) note.fail(t("message.no_answer"));
    else note.done();
    if (outcome.modal) openModal(outcome);
  } catch (refusal) {
    note.done();
    if (!area.value) {
      area.value = kept.text;
      ({ files, picked } = kept);
    }
    problems = { [refusal.option ?? ""]: refusal.message };
    refresh();
  }
}
