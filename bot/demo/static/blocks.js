// Block Kit as DOM nodes. `context` says how to read names, what has been filled in already (`values`), what to do when
// somebody uses an element (`act`), and what an app offers for what somebody types (`options`).

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
      one.type === "image" ? element("img", { src: pictureOf(one), alt: one.alt_text }) : element("span", {}, textOf(one, context)))),
  actions: (block, context) =>
    element("div", { class: "b-actions" }, ...block.elements.map((one) => interactive(one, block, context))),
  image: (block) =>
    element("figure", { class: "b-image" }, block.title && element("figcaption", {}, decode(block.title.text)),
      element("img", { src: pictureOf(block), alt: block.alt_text })),
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
  const node = render(kept(one, context.values?.[block.block_id]?.[one.action_id]), block, context);
  node.dataset.action = one.action_id;
  node.dataset.kind = one.type;
  return node;
}

// What had been filled in before an update of the view stands where the same element is drawn again.
const INITIAL = {
  value: "initial_value", selected_option: "initial_option", selected_options: "initial_options", selected_user: "initial_user",
  selected_users: "initial_users", selected_channel: "initial_channel", selected_channels: "initial_channels",
  selected_conversation: "initial_conversation", selected_conversations: "initial_conversations",
  selected_date: "initial_date", selected_time: "initial_time", selected_date_time: "initial_date_time",
};
function kept(one, saved) {
  if (!saved || saved.type !== one.type) return one;
  const copy = { ...one };
  for (const [name, value] of Object.entries(saved)) if (INITIAL[name]) copy[INITIAL[name]] = value ?? undefined;
  return copy;
}

// Something was chosen or typed: told at once, except in an input that waits for its window to be submitted.
function changed(node, one, block, context, selected) {
  if (block.type === "input" && !block.dispatch_action) return;
  context.act(node, { block_id: block.block_id, action_id: one.action_id, selected }, one.confirm);
}

function optionsOf(one) {
  return one.options ?? (one.option_groups ?? []).flatMap((group) => group.options);
}

const people = (context) => Object.entries(context.names.users).map(([id, name]) => ({ text: { text: name }, value: id }));
const channels = (context) => Object.entries(context.names.channels).map(([id, name]) => ({ text: { text: `#${name}` }, value: id }));

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
      } }, decode(option.text.text), option.description && element("span", { class: "quiet" }, decode(option.description.text))));
    }
    menu.append(list);
    menu.addEventListener("toggle", () => { if (menu.open) list.scrollIntoView({ block: "nearest" }); });
    return menu;
  },
  static_select: (one, block, context) => select(one, block, context, optionsOf(one), one.initial_option?.value, (option) => option),
  users_select: (one, block, context) => select(one, block, context, people(context), one.initial_user, (option) => option.value),
  channels_select: (one, block, context) => select(one, block, context, channels(context), one.initial_channel, (option) => option.value),
  conversations_select: (one, block, context) => select(one, block, context, channels(context), one.initial_conversation, (option) => option.value),
  multi_static_select: (one, block, context) => several(one, block, context, optionsOf(one), values(one.initial_options), (option) => option),
  multi_users_select: (one, block, context) => several(one, block, context, people(context), one.initial_users, (option) => option.value),
  multi_channels_select: (one, block, context) => several(one, block, context, channels(context), one.initial_channels, (option) => option.value),
  multi_conversations_select: (one, block, context) => several(one, block, context, channels(context), one.initial_conversations, (option) => option.value),
  external_select: (one, block, context) => searched(one, block, context, one.initial_option ? [one.initial_option] : [], 1),
  multi_external_select: (one, block, context) => searched(one, block, context, one.initial_options ?? [], one.max_selected_items ?? Infinity),
  radio_buttons: (one, block, context) => choices(one, "radio", values([one.initial_option]), block, context),
  checkboxes: (one, block, context) => choices(one, "checkbox", values(one.initial_options), block, context),
  plain_text_input: (one, block, context) => typed(one, block, context, {}),
  email_text_input: (one, block, context) => typed(one, block, context, { type: "email" }),
  url_text_input: (one, block, context) => typed(one, block, context, { type: "url" }),
  number_input: (one, block, context) => typed(one, block, context, { type: "number", min: one.min_value, max: one.max_value, step: one.is_decimal_allowed ? "any" : 1 }),
  datepicker: (one, block, context) => dated(one, block, context, "date", one.initial_date, (text) => text),
  timepicker: (one, block, context) => dated(one, block, context, "time", one.initial_time, (text) => text),
  datetimepicker: (one, block, context) => {
    const zone = context.names.zone;
    const node = dated(one, block, context, "datetime-local", one.initial_date_time && toLocal(one.initial_date_time, zone), (text) => toSeconds(text, zone));
    node.seconds_ = () => (node.value ? toSeconds(node.value, zone) : null);
    return node;
  },
  image: (one) => element("img", { src: pictureOf(one), alt: one.alt_text, class: "accessory" }),
};

const values = (options) => (options ?? []).filter(Boolean).map((option) => option.value);
const pictureOf = (one) => (one.slack_file ? `/ui/file/${encodeURIComponent(one.slack_file.id ?? "")}` : one.image_url);

function select(one, block, context, options, initial, told) {
  const node = element("select", { "aria-label": nameOf(one, block) }, element("option", { value: "" }, one.placeholder?.text ?? "Choose…"));
  const entry = (option) => element("option", { value: option.value }, decode(option.text.text));
  if (one.option_groups) node.append(...one.option_groups.map((group) => element("optgroup", { label: decode(group.label.text) }, ...group.options.map(entry))));
  else node.append(...options.map(entry));
  node.value = initial ?? "";
  if (node.selectedIndex < 0) node.value = "";
  node.options_ = options;
  node.addEventListener("change", () => {
    const chosen = options.find((option) => option.value === node.value);
    changed(node, one, block, context, chosen ? told(chosen) : null);
  });
  return node;
}

function several(one, block, context, options, initial, told) {
  const summary = element("summary", { class: "button choose" });
  const list = element("div", { class: "menu" });
  const node = element("details", { class: "overflow multi" }, summary, list);
  const chosen = new Set(initial ?? []);
  const show = () => { summary.textContent = options.filter((option) => chosen.has(option.value)).map((option) => decode(option.text.text)).join(", ") || (one.placeholder?.text ?? "Choose…"); };
  for (const option of options) {
    const input = element("input", { type: "checkbox", value: option.value });
    input.checked = chosen.has(option.value);
    input.addEventListener("change", () => {
      if (input.checked && chosen.size >= (one.max_selected_items ?? Infinity)) { input.checked = false; return; }
      if (input.checked) chosen.add(option.value); else chosen.delete(option.value);
      show();
      changed(node, one, block, context, node.chosen_());
    });
    list.append(element("label", {}, input, decode(option.text.text)));
  }
  node.chosen_ = () => options.filter((option) => chosen.has(option.value)).map(told);
  show();
  return node;
}

// Typed into, then picked from what the app answers.
function searched(one, block, context, initial, most) {
  const input = element("input", { type: "search", role: "combobox", autocomplete: "off", placeholder: one.placeholder?.text ?? "Search…", "aria-label": nameOf(one, block) });
  const chips = element("div", { class: "chips" });
  const list = element("div", { class: "menu found", role: "listbox", hidden: true });
  const node = element("div", { class: "search" }, chips, input, list);
  const least = one.min_query_length ?? 3;
  let chosen = [...initial];
  let asked = 0;
  const show = () => {
    chips.replaceChildren(...(most === 1 ? [] : chosen.map((option) => element("button", { type: "button", class: "suggestion", onclick: () => { set(chosen.filter((each) => each.value !== option.value)); } }, `${decode(option.text.text)} ✕`))));
    if (most === 1) input.value = chosen.length ? decode(chosen[0].text.text) : "";
  };
  const set = (options) => { chosen = options; list.hidden = true; if (most > 1) input.value = ""; show(); changed(node, one, block, context, most === 1 ? chosen[0] ?? null : chosen); };
  const ask = async () => {
    const text = most === 1 && chosen.length && input.value === decode(chosen[0].text.text) ? "" : input.value;
    if (text.length < least) { list.hidden = true; return; }
    const turn = ++asked;
    const answer = await context.options({ block_id: block.block_id, action_id: one.action_id }, text);
    if (turn !== asked) return;
    const row = (option) => element("button", { type: "button", role: "option", onclick: () => set(most === 1 ? [option] : [...chosen.filter((each) => each.value !== option.value), option].slice(0, most)) }, decode(option.text.text));
    const rows = answer.option_groups ? answer.option_groups.flatMap((group) => [element("div", { class: "quiet" }, decode(group.label.text)), ...group.options.map(row)]) : (answer.options ?? []).map(row);
    list.replaceChildren(...(answer.error ? [element("div", { class: "quiet" }, `Results couldn't be loaded (${answer.error}).`)] : rows.length ? rows : [element("div", { class: "quiet" }, "No results")]));
    list.hidden = false;
  };
  input.addEventListener("focus", ask);
  input.addEventListener("input", () => { if (most === 1 && chosen.length && input.value === "") { chosen = []; changed(node, one, block, context, null); } ask(); });
  node.chosen_ = () => chosen;
  node.single_ = most === 1;
  show();
  return node;
}

function choices(one, type, initial, block, context) {
  const node = element("div", { class: "choices", role: type === "radio" ? "radiogroup" : "group", "aria-label": nameOf(one, block) });
  const chosen = new Set(initial);
  one.options.forEach((option) => {
    const input = element("input", { type, name: `${block.block_id}:${one.action_id}`, value: option.value });
    input.checked = chosen.has(option.value);
    input.addEventListener("change", () => changed(node, one, block, context, type === "radio" ? option : picked(node)));
    node.append(element("label", {}, input, element("span", {}, textOf(option.text, context), option.description && element("span", { class: "quiet" }, textOf(option.description, context)))));
  });
  node.options_ = one.options;
  return node;
}

const picked = (node) => [...node.querySelectorAll("input:checked")].map((input) => node.options_.find((option) => option.value === input.value));

function typed(one, block, context, properties) {
  const node = element(one.multiline ? "textarea" : "input", {
    placeholder: one.placeholder?.text, maxlength: one.max_length, minlength: one.min_length, rows: one.multiline ? 4 : null,
    "aria-label": nameOf(one, block), ...properties,
  });
  node.value = one.initial_value ?? "";
  const on = one.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  let later = 0;
  if (on.includes("on_character_entered")) {
    node.addEventListener("input", () => { clearTimeout(later); later = setTimeout(() => changed(node, one, block, context, node.value), 400); });
  }
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !one.multiline && on.includes("on_enter_pressed")) { event.preventDefault(); changed(node, one, block, context, node.value); }
  });
  return node;
}

function dated(one, block, context, type, initial, told) {
  const node = element("input", { type, value: initial, "aria-label": nameOf(one, block) });
  node.addEventListener("change", () => changed(node, one, block, context, node.value ? told(node.value) : null));
  return node;
}

const nameOf = (one, block) => block.label?.text ?? one.placeholder?.text ?? "Choose";

function toLocal(seconds, zone) {
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
  return parts.format(new Date(seconds * 1000)).replace(" ", "T");
}

// The wall time of a zone as Unix seconds; twice, because the first guess may lie on the other side of a change of clocks.
function toSeconds(local, zone) {
  const wanted = Date.parse(`${local}Z`) / 1000;
  let guess = wanted;
  for (let round = 0; round < 2; round += 1) guess += wanted - Date.parse(`${toLocal(guess, zone)}Z`) / 1000;
  return guess;
}

// What the person has filled in, in the shape of Slack's state.values.
export function readValues(root) {
  const found = {};
  for (const node of root.querySelectorAll("[data-action]")) {
    const block = node.closest("[data-block]")?.dataset.block;
    const value = valueOf(node);
    if (block && value) (found[block] ??= {})[node.dataset.action] = value;
  }
  return found;
}

function valueOf(node) {
  const type = node.dataset.kind;
  const option = () => node.options_.find((each) => each.value === node.value) ?? null;
  switch (type) {
    case "plain_text_input": case "email_text_input": case "url_text_input": case "number_input": return { type, value: node.value || null };
    case "static_select": return { type, selected_option: option() };
    case "users_select": return { type, selected_user: node.value || null };
    case "channels_select": return { type, selected_channel: node.value || null };
    case "conversations_select": return { type, selected_conversation: node.value || null };
    case "external_select": return { type, selected_option: node.chosen_()[0] ?? null };
    case "multi_external_select": case "multi_static_select": return { type, selected_options: node.chosen_() };
    case "multi_users_select": return { type, selected_users: node.chosen_() };
    case "multi_channels_select": return { type, selected_channels: node.chosen_() };
    case "multi_conversations_select": return { type, selected_conversations: node.chosen_() };
    case "radio_buttons": return { type, selected_option: picked(node)[0] ?? null };
    case "checkboxes": return { type, selected_options: picked(node) };
    case "datepicker": return { type, selected_date: node.value || null };
    case "timepicker": return { type, selected_time: node.value || null };
    case "datetimepicker": return { type, selected_date_time: node.seconds_() };
    default: return null;
  }
}
