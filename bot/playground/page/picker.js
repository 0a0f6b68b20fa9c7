// A select as Discord draws it: a box, a list with labels and descriptions, one choice or several.

import { fill, h, icon, popup } from "./dom.js";
import { t, world } from "./net.js";

export const emojiText = (emoji) => (emoji ? (emoji.id ? `:${emoji.name}:` : emoji.name) : "");

/** The rows a select offers: its own options, or the members, roles and channels of the server. */
export function rowsOf(component) {
  const users = Object.entries(world.boot.users).map(([value, user]) => ({ value, label: "@" + user.name }));
  const roles = Object.entries(world.boot.roles).map(([value, name]) => ({ value, label: name }));
  const kinds = { text: 0, thread: 11, dm: 1 };
  const channels = world.boot.channels
    .filter((row) => row.kind !== "dm" && (!component.channel_types?.length || component.channel_types.includes(kinds[row.kind])))
    .map((row) => ({ value: row.id, label: "#" + row.name }));
  return { 3: component.options, 5: users, 6: roles, 7: [...users, ...roles], 8: channels }[component.type] ?? [];
}

/** `onDone(values)` is called once per change, when the list closes. */
export function picker(component, { name, onDone }) {
  const rows = rowsOf(component) || [];
  const low = component.min_values ?? 1;
  const high = component.max_values ?? 1;
  const defaults = component.default_values?.map((item) => item.id) ?? rows.filter((row) => row.default).map((row) => row.value);
  let chosen = new Set(defaults);
  const label = h("span", { class: "chosen" });
  const box = h("button", { type: "button", class: "picker", disabled: component.disabled, "aria-haspopup": "listbox", "aria-expanded": "false",
    "aria-label": name || component.placeholder || t("component.select"), "data-testid": "select", dataset: { customId: component.custom_id } }, label, icon("chevron"));
  const draw = () => {
    const names = rows.filter((row) => chosen.has(row.value)).map((row) => `${emojiText(row.emoji)} ${row.label}`.trim());
    label.textContent = names.join(", ") || component.placeholder || t("component.select");
    label.classList.toggle("empty", !names.length);
  };
  draw();
  box.addEventListener("click", () => {
    const before = [...chosen].sort().join("\n");
    let changed = false;
    const list = h("div", { class: "options", role: "listbox", "aria-multiselectable": high > 1 });
    const finish = () => {
      watcher.disconnect();
      box.setAttribute("aria-expanded", "false");
      if (changed && before !== [...chosen].sort().join("\n") && chosen.size >= low) onDone([...chosen]);
    };
    const paint = (focus) => fill(list, rows.map((row, index) => h("button", {
      type: "button", class: "option", role: "option", "aria-selected": String(chosen.has(row.value)), "data-testid": "option", dataset: { value: row.value },
      onclick: () => {
        changed = true;
        if (high === 1) { chosen = new Set([row.value]); draw(); close(); box.focus(); return; }
        if (chosen.has(row.value)) chosen.delete(row.value);
        else if (chosen.size < high) chosen.add(row.value);
        draw();
        paint(index);
      } },
      row.emoji && h("span", { class: "emoji" }, emojiText(row.emoji)),
      h("span", { class: "what" }, h("span", {}, row.label), row.description && h("small", {}, row.description)),
      chosen.has(row.value) && icon("check")))) && list.children[focus ?? 0]?.focus();
    paint();  // before it is placed: its height decides whether it opens above or below
    const close = popup(box, list, "popup pick");
    list.parentElement.style.minWidth = `${box.offsetWidth}px`;
    list.parentElement.style.left = `${Math.min(box.getBoundingClientRect().left, innerWidth - list.parentElement.offsetWidth - 8)}px`;
    list.firstElementChild?.focus();
    box.setAttribute("aria-expanded", "true");
    const watcher = new MutationObserver(() => { if (!list.isConnected) finish(); });
    watcher.observe(list.parentElement.parentElement, { childList: true });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const all = [...list.children];
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
    });
  });
  return { element: box, values: () => [...chosen] };
}
