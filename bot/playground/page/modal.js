// Forms that a bot opens.

import { fill, h, icon } from "./dom.js";
import { interact, t } from "./net.js";
import { markdown } from "./markdown.js";
import { picker } from "./picker.js";

function control(component, name) {
  const id = `field-${component.custom_id}`;
  const common = { id, "data-testid": "field", dataset: { customId: component.custom_id } };
  switch (component.type) {
    case 4: {
      const field = component.style === 2
        ? h("textarea", { ...common, rows: 4, placeholder: component.placeholder, maxlength: component.max_length ?? 4000 })
        : h("input", { ...common, type: "text", placeholder: component.placeholder, maxlength: component.max_length ?? 4000 });
      field.value = component.value ?? "";
      return { element: field, value: () => field.value };
    }
    case 3: case 5: case 6: case 7: case 8: {
      const box = picker(component, { name, onDone: () => {} });
      return { element: box.element, value: box.values };
    }
    case 19: {
      const input = h("input", { ...common, type: "file", multiple: (component.max_values ?? 1) > 1 });
      return { element: input, files: () => [...input.files], value: () => [...input.files].map((_, index) => `${component.custom_id}.${index}`) };
    }
    case 21: case 22: {
      const kind = component.type === 21 ? "radio" : "checkbox";
      const boxes = component.options.map((option) => h("input", { type: kind, name: id, value: option.value, checked: option.default, "data-testid": "choice" }));
      const element = h("div", { class: "choices", role: kind === "radio" ? "radiogroup" : "group", "aria-label": name }, component.options.map((option, index) =>
        h("label", {}, boxes[index], h("span", { class: "what" }, h("span", {}, option.label), option.description && h("small", {}, option.description)))));
      const values = () => boxes.filter((box) => box.checked).map((box) => box.value);
      return { element, value: () => (kind === "radio" ? (values()[0] ?? null) : values()) };
    }
    case 23: {
      const box = h("input", { ...common, type: "checkbox", checked: component.default, "aria-label": name });
      return { element: h("div", { class: "choices" }, box), value: () => box.checked };
    }
    default: return null;
  }
}

export function openModal(outcome) {
  const fields = new Map();
  const rows = [];
  const add = (component, label, description) => {
    const made = control(component, label);
    if (!made) return;
    const problem = h("p", { class: "problem", role: "alert" });
    fields.set(component.custom_id, { ...made, problem });
    const required = component.required ?? component.type !== 23;
    rows.push(h("div", { class: "entry" },
      h("label", { for: `field-${component.custom_id}` }, label, required && h("span", { class: "star", "aria-hidden": "true" }, " *")),
      description && h("p", { class: "small" }, description), made.element, problem));
  };
  for (const component of outcome.modal.components) {
    if (component.type === 10) rows.push(h("div", { class: "text" }, markdown(component.content)));
    else if (component.type === 18) add(component.component, component.label, component.description);
    else for (const child of component.components ?? []) add(child, child.label ?? "", null);
  }
  const general = h("p", { class: "problem", role: "alert", "data-testid": "modal-problem" });
  const submit = h("button", { type: "submit", class: "button primary", "data-testid": "modal-submit" }, t("modal.submit"));
  const box = h("dialog", { class: "modal", "aria-label": outcome.modal.title, "data-testid": "modal" },
    h("form", { novalidate: true, onsubmit: send },
      h("header", {}, h("img", { src: "/static/brush.svg", alt: "", width: 32, height: 32 }), h("h2", {}, outcome.modal.title),
        h("button", { type: "button", class: "icon", "aria-label": t("modal.close"), onclick: () => box.close() }, icon("close"))),
      h("div", { class: "fields" }, rows, general),
      h("footer", {}, h("button", { type: "button", class: "button link", onclick: () => box.close() }, t("modal.cancel")), submit)));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  fields.values().next().value?.element.focus?.();

  async function send(event) {
    event.preventDefault();
    const values = {}, files = {};
    fill(general);
    for (const [key, field] of fields) {
      fill(field.problem);
      values[key] = field.value();
      (field.files?.() ?? []).forEach((file, index) => { files[`${key}.${index}`] = file; });
    }
    submit.disabled = true;
    try {
      const answer = await interact({ kind: "modal", interaction: outcome.interaction, values }, files);
      if (answer.kind === null) fill(general, t("message.no_answer"));
      else box.close();
    } catch (refusal) {
      const field = fields.get(refusal.option);
      fill(field?.problem ?? general, refusal.message);
      field?.element.focus?.();
    } finally {
      submit.disabled = false;
    }
  }
}

