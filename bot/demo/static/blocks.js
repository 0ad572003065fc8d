// Block Kit as DOM nodes. `context` says how to read names, and what to do when somebody uses an element.

import { decode, element, mrkdwn } from "/static/mrkdwn.js";

export function renderBlocks(blocks, context) {
  const out = element("div", { class: "blocks" });
  for (const block of blocks) {
    const render = BLOCKS[block.type];
    if (render) {
      const node = render(block, context);
      node.dataset.block = block.block_id;
      out.append(node);
    }
  }
  return out;
}

function textOf(object, context) {
  if (!object) return "";
  return object.type === "mrkdwn" ? mrkdwn(object.text, context.names) : decode(object.text);
}

const BLOCKS = {
  header: (block) => element("h3", { class: "b-header" }, decode(block.text.text)),
  divider: () => element("hr"),
  section: (block, context) => {
    const body = element("div", { class: "b-text" });
    if (block.text) body.append(element("div", {}, textOf(block.text, context)));
    if (block.fields) {
      body.append(element("div", { class: "b-fields" }, ...block.fields.map((field) => element("div", {}, textOf(field, context)))));
    }
    return element("div", { class: "b-section" }, body, block.accessory && interactive(block.accessory, block, context));
  },
  context: (block, context) =>
    element("div", { class: "b-context" }, ...block.elements.map((one) =>
      one.type === "image" ? element("img", { src: one.image_url, alt: one.alt_text }) : element("span", {}, textOf(one, context)))),
  actions: (block, context) =>
    element("div", { class: "b-actions" }, ...block.elements.map((one) => interactive(one, block, context))),
  image: (block) =>
    element("figure", { class: "b-image" }, block.title && element("figcaption", {}, decode(block.title.text)),
      element("img", { src: block.image_url, alt: block.alt_text })),
  input: (block, context) => {
    const control = interactive(block.element, block, context);
    const label = element("label", {}, decode(block.label.text), block.optional && element("span", { class: "quiet" }, " (optional)"));
    return element("div", { class: "b-input" }, label, control,
      block.hint && element("div", { class: "quiet" }, decode(block.hint.text)), element("div", { class: "problem" }));
  },
  markdown: (block, context) => element("div", { class: "b-text" }, mrkdwn(block.text.replaceAll("**", "*"), context.names)),
  rich_text: (block) => element("div", { class: "b-text" }, ...block.elements.map((one) =>
    element(one.type === "rich_text_preformatted" ? "pre" : "p", {}, (one.elements ?? []).map((piece) => piece.text ?? "").join("")))),
};

function interactive(one, block, context) {
  const render = ELEMENTS[one.type];
  if (!render) return element("span", { class: "quiet" }, `(${one.type})`);
  const node = render(one, block, context);
  node.dataset.action = one.action_id;
  node.dataset.kind = one.type;
  return node;
}

const ELEMENTS = {
  button: (one, block, context) => {
    const button = element("button", { type: "button", class: `button ${one.style ?? ""}`, "aria-label": one.accessibility_label }, decode(one.text.text));
    button.addEventListener("click", () => {
      if (one.url) window.open(one.url, "_blank", "noopener");
      context.act(button, { block_id: block.block_id, action_id: one.action_id }, one.confirm);
    });
    return button;
  },
  overflow: (one, block, context) => {
    const menu = element("details", { class: "overflow" }, element("summary", { class: "button", "aria-label": "More actions" }, "⋯"));
    const list = element("div", { class: "menu", role: "menu" });
    for (const option of one.options) {
      list.append(element("button", { type: "button", role: "menuitem", onclick: () => {
        menu.open = false;
        if (option.url) window.open(option.url, "_blank", "noopener");
        context.act(menu.firstElementChild, { block_id: block.block_id, action_id: one.action_id, selected: option }, one.confirm);
      } }, decode(option.text.text)));
    }
    menu.append(list);
    return menu;
  },
  static_select: (one, block, context) => select(one, one.options ?? (one.option_groups ?? []).flatMap((group) => group.options), block, context),
  users_select: (one, block, context) => {
    const options = Object.entries(context.names.users).map(([id, name]) => ({ text: { text: name }, value: id }));
    return select({ ...one, initial_option: { value: one.initial_user } }, options, block, context);
  },
  radio_buttons: (one, block, context) => choices(one, "radio", [one.initial_option], block, context),
  checkboxes: (one, block, context) => choices(one, "checkbox", one.initial_options ?? [], block, context),
  plain_text_input: (one) => {
    const input = element(one.multiline ? "textarea" : "input", { placeholder: one.placeholder?.text, maxlength: one.max_length, rows: one.multiline ? 4 : null });
    input.value = one.initial_value ?? "";
    return input;
  },
  datepicker: (one) => element("input", { type: "date", value: one.initial_date }),
  timepicker: (one) => element("input", { type: "time", value: one.initial_time }),
  image: (one) => element("img", { src: one.image_url, alt: one.alt_text, class: "accessory" }),
};

function select(one, options, block, context) {
  const node = element("select", { "aria-label": one.placeholder?.text ?? "Choose" }, element("option", { value: "" }, one.placeholder?.text ?? "Choose…"));
  for (const option of options) node.append(element("option", { value: option.value }, decode(option.text.text)));
  node.value = one.initial_option?.value ?? "";
  node.options_ = options;
  if (block.type !== "input") {
    node.addEventListener("change", () => context.act(node, {
      block_id: block.block_id, action_id: one.action_id,
      selected: one.type === "users_select" ? node.value : options.find((option) => option.value === node.value),
    }));
  }
  return node;
}

function choices(one, type, initial, block, context) {
  const node = element("div", { class: "choices" });
  const chosen = new Set(initial.filter(Boolean).map((option) => option.value));
  one.options.forEach((option) => {
    const input = element("input", { type, name: `${block.block_id}:${one.action_id}`, value: option.value });
    input.checked = chosen.has(option.value);
    node.append(element("label", {}, input, textOf(option.text, context)));
  });
  node.options_ = one.options;
  return node;
}

// What the person has filled in, in the shape of Slack's state.values.
export function readValues(root) {
  const values = {};
  for (const node of root.querySelectorAll("[data-action]")) {
    const block = node.closest("[data-block]")?.dataset.block;
    const value = valueOf(node);
    if (block && value) (values[block] ??= {})[node.dataset.action] = value;
  }
  return values;
}

function valueOf(node) {
  const type = node.dataset.kind;
  const picked = () => [...node.querySelectorAll("input:checked")].map((input) => node.options_.find((option) => option.value === input.value));
  switch (type) {
    case "plain_text_input": return { type, value: node.value || null };
    case "static_select": return { type, selected_option: node.options_.find((option) => option.value === node.value) ?? null };
    case "users_select": return { type, selected_user: node.value || null };
    case "radio_buttons": return { type, selected_option: picked()[0] ?? null };
    case "checkboxes": return { type, selected_options: picked() };
    case "datepicker": return { type, selected_date: node.value || null };
    case "timepicker": return { type, selected_time: node.value || null };
    default: return null;
  }
}
