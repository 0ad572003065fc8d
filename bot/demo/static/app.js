// The page: one snapshot from the workspace is drawn whole; messages are kept by their content so that nothing flickers.

import { readValues, renderBlocks } from "/static/blocks.js";
import { decode, element, escape, mrkdwn } from "/static/mrkdwn.js";

const byId = (id) => document.getElementById(id);
const view = { me: localStorage.getItem("me") ?? "", channel: "", thread: "", tab: "messages", state: null, waiting: null, mine: null };
const drafts = new Map();
const filled = new Map(); // what has been filled in, by window: one under another keeps it, and so does one that is drawn anew
const refused = new Map(); // what the app finds wrong with the inputs of a window, by window and block
const failed = new Map(); // what went wrong with a click, by message: it must outlive a redraw

// --- talking to the workspace ---

async function send(path, body) {
  try {
    const response = await fetch(`/ui/${path}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ as: view.me, ...body }),
    });
    return await response.json();
  } catch {
    return { error: "the workspace does not answer" };
  }
}

let refreshing = false;
let again = false;
async function refresh() {
  if (refreshing) { again = true; return; }
  refreshing = true;
  try {
    do {
      again = false;
      const query = new URLSearchParams({ as: view.me, channel: view.channel });
      const state = await (await fetch(`/ui/state?${query}`)).json();
      document.body.classList.remove("lost");
      draw(state);
    } while (again);
  } catch {
    document.body.classList.add("lost");
  } finally {
    refreshing = false;
  }
}

function listen() {
  const stream = new EventSource("/ui/stream");
  stream.addEventListener("change", refresh);
  stream.addEventListener("error", () => document.body.classList.add("lost"));
}

// --- drawing ---

function draw(state) {
  const first = view.state === null;
  view.state = state;
  view.me = state.me;
  view.channel = state.channel;
  const names = {
    me: state.me, users: state.names, channels: state.channelNames,
    groups: Object.fromEntries(state.groups.map((group) => [group.id, group.handle])),
    zone: state.people.find((person) => person.id === state.me)?.timezone ?? "UTC",
  };
  byId("team-name").textContent = state.team;
  const link = byId("link-state");
  link.textContent = state.app.connected ? `${state.app.name} connected` : `${state.app.name} is starting`;
  link.classList.toggle("on", state.app.connected);
  drawPeople(state);
  drawSidebar(state);
  drawTitle(state);
  drawMessages(byId("messages"), state.messages.filter((one) => !one.reply || one.subtype === "thread_broadcast" || (one.ephemeral && !view.thread)), names, true);
  drawThread(state, names);
  drawHome(state, names);
  drawModal(state, names);
  drawPanel(state.panel);
  notice(state, first);
  const here = state.channels.find((one) => one.id === state.channel);
  if (here?.unread && document.visibilityState === "visible") send("read", { channel: here.id });
  const waiting = state.channels.reduce((sum, one) => sum + one.mentions, 0);
  document.title = `${waiting ? `(${waiting}) ` : ""}${here?.kind === "im" ? here.name : `#${here?.name}`} · agentpager demo`;
}

function initials(name) {
  return name.split(" ").map((word) => word[0]).join("").slice(0, 2).toUpperCase();
}

function avatar(id, name) {
  const people = view.state.people.findIndex((person) => person.id === id);
  if (id === view.state.app.user) return element("img", { class: "avatar", src: "/static/icon.svg", alt: "" });
  return element("span", { class: `avatar tone${people < 0 ? "-none" : people % 5}`, "aria-hidden": "true" }, initials(name));
}

function badge(count, loud = true) {
  return count ? element("span", { class: loud ? "badge" : "badge soft" }, String(count)) : null;
}

function drawPeople(state) {
  byId("people").replaceChildren(
    element("span", { class: "label" }, "Act as"),
    ...state.people.map((person) => element("button", {
      class: `person${person.id === state.me ? " on" : ""}`, "aria-pressed": String(person.id === state.me),
      title: `${person.name}, ${person.title} (${person.timezone})`, onclick: () => become(person.id),
    }, avatar(person.id, person.name), element("span", { class: "name" }, person.name.split(" ")[0]), badge(person.waiting))),
  );
}

function drawSidebar(state) {
  const row = (one) => element("button", {
    class: `row${one.id === state.channel ? " on" : ""}${one.unread ? " unread" : ""}`, onclick: () => open(one.id),
    "aria-current": one.id === state.channel ? "page" : null,
  }, element("span", { class: "mark", "aria-hidden": "true" }, one.kind === "im" ? "●" : "#"), element("span", { class: "grow" }, one.name),
    badge(one.mentions || one.unread, one.mentions > 0));
  const me = state.people.find((person) => person.id === state.me);
  byId("side").replaceChildren(
    element("div", { class: "you" }, avatar(me.id, me.name), element("div", {}, element("strong", {}, me.name), element("div", { class: "quiet" }, me.title))),
    element("h2", {}, "Channels"), ...state.channels.filter((one) => one.kind !== "im").map(row),
    element("h2", {}, "Direct messages"), ...state.channels.filter((one) => one.kind === "im").map(row),
    element("h2", {}, "User groups"), ...state.groups.map((group) => element("div", { class: "group", "data-group": group.id },
      element("strong", {}, `@${group.handle}`), element("span", { class: "grow" }, group.users.map((id) => state.names[id].split(" ")[0]).join(", ")))),
    element("h2", {}, "Notifications"), element("button", { class: "row", id: "quiet", onclick: () => send("quiet", {}) },
      element("span", { class: "mark", "aria-hidden": "true" }, state.quiet ? "☾" : "🔔"),
      element("span", { class: "grow" }, state.quiet ? `Paused ${state.quiet.begins}–${state.quiet.ends}` : "Never paused"))
  );
  const elsewhere = state.channels.some((one) => one.mentions && one.id !== state.channel);
  byId("menu").classList.toggle("dot", elsewhere);
}

function drawTitle(state) {
  const here = state.channels.find((one) => one.id === state.channel);
  byId("channel-name").textContent = here.kind === "im" ? here.name : `# ${here.name}`;
  byId("channel-topic").textContent = here.kind === "im" ? "Direct message: this is what wakes you" : here.topic;
  const tabs = here.kind === "im" && state.app.hasHome;
  if (!tabs) view.tab = "messages";
  byId("tabs").hidden = !tabs;
  for (const tab of byId("tabs").children) tab.setAttribute("aria-selected", String(tab.dataset.tab === view.tab));
  composers();
}

function drawMessages(root, messages, names, replies) {
  const atEnd = root.scrollHeight - root.scrollTop - root.clientHeight < 80;
  const fresh = root.dataset.of !== `${view.me}${view.channel}${root === byId("messages") ? "" : view.thread}`;
  root.dataset.of = `${view.me}${view.channel}${root === byId("messages") ? "" : view.thread}`;
  const old = new Map(fresh ? [] : [...root.children].map((node) => [node.dataset.key, node]));
  const nodes = [];
  if (!messages.length) nodes.push(element("div", { class: "empty" }, emptyText()));
  let day = "";
  for (const message of messages) {
    const date = new Intl.DateTimeFormat("en-GB", { timeZone: names.zone, weekday: "long", day: "numeric", month: "long" }).format(new Date(Number(message.ts) * 1000));
    if (date !== day && replies) nodes.push(element("div", { class: "day" }, element("span", {}, date)));
    day = date;
    const key = `${names.me}|${failed.get(message.ts) ?? ""}|${JSON.stringify(message)}`;
    const kept = old.get(key);
    nodes.push(kept ?? messageNode(message, names, replies, key));
  }
  root.replaceChildren(...nodes);
  if (fresh || atEnd) root.scrollTop = root.scrollHeight;
}

function emptyText() {
  const here = view.state.channels.find((one) => one.id === view.channel);
  return here.kind === "im"
    ? "Nobody has paged you yet. Break an agent that your team owns, and the page arrives here."
    : here.name === view.state.channels[0].name
      ? "Quiet so far. Break one of the agents: its page arrives here within seconds. Or type /agent help."
      : "Nothing has been written here yet.";
}

function messageNode(message, names, replies, key) {
  const author = names.users[message.user] ?? "Slackbot";
  const at = new Date(Number(message.ts) * 1000);
  const time = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: names.zone, ...options }).format(at);
  const problem = element("div", { class: "problem", role: "alert" }, failed.get(message.ts) ?? "");
  const body = element("div", { class: "body" });
  const tell = (text) => { if (text) failed.set(message.ts, text); else failed.delete(message.ts); redraw(); };
  const context = blockContext(names, body, { channel: view.channel, ts: message.ts }, tell);
  if (message.blocks?.length) body.append(renderBlocks(message.blocks, context));
  else body.append(element("div", { class: "b-text" }, mrkdwn(message.text, names)));
  body.append(...(message.files ?? []).map(fileNode));
  if (message.edited) body.append(element("span", { class: "quiet edited", title: `Edited ${new Date(Number(message.edited.ts) * 1000).toLocaleTimeString()}` }, "(edited)"));
  const node = element("article", { class: `message${message.ephemeral ? " ephemeral" : ""}` },
    avatar(message.user, author),
    element("div", { class: "content" },
      message.ephemeral && element("div", { class: "quiet" }, "👁 Only visible to you"),
      message.subtype === "thread_broadcast" && replies && element("button", { class: "replied", onclick: () => openThread(message.thread_ts) }, "↪ replied to a thread"),
      element("div", { class: "author" }, element("strong", {}, author), message.bot_id && element("span", { class: "app" }, "APP"),
        element("time", { datetime: at.toISOString(), title: at.toISOString() }, time({ hour: "2-digit", minute: "2-digit", second: "2-digit" }))),
      body, problem,
      replies && message.reply_count && element("button", { class: "replies", onclick: () => openThread(message.ts) },
        element("strong", {}, `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`), element("span", { class: "quiet" }, " View thread"))),
    !message.ephemeral && shortcutsOf(message, tell),
    replies && !message.ephemeral && !message.reply && !byId("composer").classList.contains("closed") && element("button", { class: "icon start-thread", title: "Reply in thread", "aria-label": "Reply in thread", onclick: () => openThread(message.ts) }, "💬"));
  node.dataset.key = key;
  node.dataset.ts = message.ts;
  return node;
}

function fileNode(file) {
  const address = `/ui/file/${encodeURIComponent(file.id)}`;
  return element("figure", { class: "b-image" }, element("figcaption", { class: "quiet" }, file.title),
    file.mimetype.startsWith("image/") ? element("a", { href: address, target: "_blank", title: "Open the picture" }, element("img", { src: address, alt: file.title })) : element("a", { href: address, download: file.name }, file.name));
}

// The app's entries in the menu of a message.
function shortcutsOf(message, tell) {
  const own = view.state.app.shortcuts.filter((one) => one.kind === "message");
  if (!own.length) return null;
  const run = async (id) => {
    menu.open = false;
    const answer = await send("shortcut", { callback_id: id, channel: view.channel, ts: message.ts });
    tell(answer.error ? `⚠ This didn't work (${answer.error}). Try again.` : "");
  };
  const menu = element("details", { class: "overflow shortcuts" }, element("summary", { class: "icon", "aria-label": "More message actions", title: "More message actions" }, "⋮"),
    element("div", { class: "menu", role: "menu" }, ...own.map((one) => element("button", { type: "button", role: "menuitem", onclick: () => run(one.id) }, one.name, element("span", { class: "quiet" }, view.state.app.name)))));
  return menu;
}

async function act(node, root, tell, body, confirm) {
  if (confirm && !(await confirmed(confirm))) return;
  const button = node.matches("button, summary"); // a field must not lose the focus while somebody types
  node.classList.add("busy");
  if (button) node.disabled = true;
  const answer = await send("click", { ...body, values: readValues(root) });
  node.classList.remove("busy");
  if (button) node.disabled = false;
  tell(answer.error ? `⚠ This didn't work (${answer.error}). Try again.` : "");
}

function confirmed(question) {
  const dialog = byId("confirm");
  return new Promise((done) => {
    const finish = (answer) => { dialog.close(); done(answer); };
    dialog.replaceChildren(
      element("h2", {}, question.title.text), element("p", {}, question.text.type === "mrkdwn" ? mrkdwn(question.text.text, { users: {}, channels: {} }) : decode(question.text.text)),
      element("div", { class: "buttons" },
        element("button", { class: "button", onclick: () => finish(false) }, question.deny?.text ?? "Cancel"),
        element("button", { class: `button ${question.style ?? "primary"}`, onclick: () => finish(true) }, question.confirm?.text ?? "Yes")));
    dialog.oncancel = () => done(false);
    dialog.showModal();
  });
}

// --- threads ---

function openThread(ts) {
  view.thread = ts;
  document.body.classList.remove("panel-open");
  redraw();
  byId("thread").querySelector("textarea")?.focus();
}

function drawThread(state, names) {
  const parent = state.messages.find((one) => one.ts === view.thread);
  byId("thread").hidden = !parent;
  document.body.classList.toggle("thread-open", Boolean(parent));
  if (!parent) { view.thread = ""; return; }
  const thread = [parent, ...state.messages.filter((one) => one.reply && one.thread_ts === view.thread)];
  drawMessages(byId("thread-messages"), thread, names, false);
}

// --- the app's Home tab ---

function showTab(tab) {
  view.tab = tab;
  view.thread = "";
  send("tab", { tab });
  redraw();
}

function drawHome(state, names) {
  const root = byId("home");
  const on = view.tab === "home";
  root.hidden = !on;
  byId("messages").hidden = byId("composer").hidden = on;
  if (!on) { root.dataset.key = ""; return; }
  const key = `${state.me}|${state.home?.id}|${state.home?.hash}`;
  if (root.dataset.key === key) return;
  const same = root.dataset.key?.startsWith(`${state.me}|`);
  const top = same ? root.scrollTop : 0;
  root.dataset.key = key;
  if (!state.home) { root.replaceChildren(element("div", { class: "empty" }, `${state.app.name} has not put anything here yet.`)); return; }
  const problem = element("div", { class: "problem", role: "alert" });
  const body = element("div", {});
  body.append(renderBlocks(state.home.blocks, blockContext(names, body, { view: state.home.id }, (text) => { problem.textContent = text; })));
  root.replaceChildren(body, problem);
  root.scrollTop = top;
}

// --- modals ---

function drawModal(state, names) {
  const dialog = byId("modal");
  const top = state.views.at(-1);
  if (!top) { if (dialog.open) dialog.close(); dialog.dataset.key = ""; return; }
  const key = `${top.id}|${top.hash}`;
  if (dialog.dataset.key === key && dialog.open) return;
  const before = dialog.dataset.view;
  if (dialog.open && before) filled.set(before, readValues(dialog.querySelector(".modal-body")));
  for (const kept of [filled, refused]) for (const id of kept.keys()) if (!state.views.some((one) => one.id === id)) kept.delete(id);
  const focus = before === top.id ? focused(dialog) : null;
  dialog.dataset.key = key;
  dialog.dataset.view = top.id;
  const problem = element("div", { class: "problem", role: "alert" });
  const body = element("div", { class: "modal-body scroll" });
  const context = blockContext(names, body, { view: top.id }, (text) => { problem.textContent = text; });
  body.append(renderBlocks(top.blocks, { ...context, values: filled.get(top.id) }), problem);
  const close = () => send("close", { view: top.id });
  dialog.oncancel = (event) => { event.preventDefault(); close(); };
  dialog.replaceChildren(
    element("div", { class: "pane-title" }, element("h2", {}, top.title?.text ?? ""), element("button", { class: "icon", "aria-label": "Close", onclick: close }, "✕")),
    body,
    element("div", { class: "buttons" },
      element("button", { class: "button", onclick: close }, top.close?.text ?? (top.submit ? "Cancel" : "Close")),
      top.submit && element("button", { class: "button primary", onclick: (event) => submit(event.currentTarget, top, body, problem) }, top.submit.text)));
  for (const [block, text] of Object.entries(refused.get(top.id) ?? {})) showProblem(body, block, text);
  if (!dialog.open) dialog.showModal();
  if (focus) focus(body);
}

// Gives the focus back to the same element after a redraw, with the caret where it was.
function focused(root) {
  const node = root.contains(document.activeElement) ? document.activeElement.closest("[data-action]") : null;
  const block = node?.closest("[data-block]")?.dataset.block;
  if (!block) return null;
  const { action } = node.dataset;
  const caret = node.selectionStart;
  return (again) => {
    const found = again.querySelector(`[data-block="${CSS.escape(block)}"] [data-action="${CSS.escape(action)}"]`);
    (found?.querySelector("input") ?? found)?.focus();
    if (caret != null && found?.setSelectionRange) found.setSelectionRange(caret, caret);
  };
}

function blockContext(names, root, place, tell) {
  return {
    names,
    act: (node, action, confirm) => act(node, root, tell, { ...place, action }, confirm),
    options: (source, typed) => send("options", { ...place, ...source, typed }),
  };
}

async function submit(button, top, body, problem) {
  for (const node of body.querySelectorAll(".problem")) node.textContent = "";
  refused.delete(top.id);
  const values = readValues(body);
  const missing = top.blocks.filter((block) => block.type === "input" && !block.optional && isEmpty(values[block.block_id]));
  for (const block of missing) showProblem(body, block.block_id, "Please complete this required field.");
  const wrong = [...body.querySelectorAll("[data-block] :is(input, textarea)[data-action]")].filter((node) => node.value && !node.checkValidity());
  for (const node of wrong) showProblem(body, node.closest("[data-block]").dataset.block, node.validationMessage);
  if (missing.length || wrong.length) return;
  button.classList.add("busy");
  button.disabled = true;
  const answer = await send("submit", { view: top.id, values });
  button.classList.remove("busy");
  button.disabled = false;
  if (answer.error) problem.textContent = `We had some trouble connecting (${answer.error}). Try again?`;
  refused.set(top.id, answer.errors ?? {});
  // The window may have been drawn anew meanwhile.
  const shown = body.isConnected ? body : byId("modal").querySelector(".modal-body");
  if (byId("modal").dataset.view === top.id) for (const [block, text] of Object.entries(answer.errors ?? {})) showProblem(shown, block, text);
}

function isEmpty(block) {
  const [value] = Object.values(block ?? {});
  return !Object.entries(value ?? {}).some(([name, one]) => name !== "type" && one != null && one.length !== 0);
}

function showProblem(body, block, text) {
  const place = body.querySelector(`[data-block="${CSS.escape(block)}"] .problem`) ?? body.lastElementChild;
  place.textContent = text;
}

// --- writing ---

function composers() {
  const direct = view.state.channels.find((one) => one.id === view.channel).kind === "im";
  composer(byId("composer"), () => "", () => `c|${view.me}|${view.channel}`,
    direct ? ["ack", "pass", "status", "help"] : ["/agent status", "/agent oncall", "/agent incidents", "/agent help"]);
  composer(byId("thread-composer"), () => view.thread, () => `t|${view.me}|${view.thread}`,
    direct ? ["ack", "pass", "resolve"] : ["@agentpager ack", "@agentpager resolve"]);
}

function composer(form, thread, key, suggestions) {
  if (!form.childElementCount) {
    const area = element("textarea", { rows: 1, maxlength: 8000, "aria-label": "Message" });
    const problem = element("div", { class: "problem", role: "alert" });
    const post = async (text) => {
      if (!text.trim()) return;
      problem.textContent = "";
      const answer = await send("say", { channel: view.channel, thread_ts: thread(), text: withMentions(text) });
      if (answer.error) problem.textContent = answer.error;
      else if (area.value === text) { area.value = ""; drafts.delete(form.dataset.of); }
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); post(area.value); }
    });
    area.addEventListener("input", () => drafts.set(form.dataset.of, area.value));
    form.addEventListener("submit", (event) => { event.preventDefault(); post(area.value); });
    form.append(
      element("div", { class: "suggestions" }),
      element("div", { class: "turned-off quiet" }, "Sending messages to this app has been turned off. Its buttons work, and so does /agent in a channel."),
      problem, element("div", { class: "write" }, area, element("button", { class: "button primary", "aria-label": "Send" }, "Send")));
  }
  const area = form.querySelector("textarea");
  const here = view.state.channels.find((one) => one.id === view.channel);
  const closed = here.kind === "im" && !view.state.app.takesDirectMessages;
  form.classList.toggle("closed", closed);
  area.placeholder = thread() ? "Reply…" : `Message ${here.kind === "im" ? here.name : `#${here.name}`}`;
  if (form.dataset.of !== key()) {
    form.dataset.of = key();
    form.querySelector(".suggestions").replaceChildren(...suggestions.map((text) => element("button", {
      type: "button", class: "suggestion", onclick: () => { area.value = text; form.requestSubmit(); },
    }, text)));
    form.querySelector(".problem").textContent = "";
    area.value = drafts.get(key()) ?? "";
  }
}

function withMentions(text) {
  if (text.startsWith("/")) return text;
  const people = Object.entries(view.state.names).map(([id, name]) => [id, name.toLowerCase(), name.split(" ")[0].toLowerCase()]);
  return escape(text).replace(/@([\p{L}\d_-]+)/gu, (whole, word) => {
    const found = people.find(([, name, first]) => name === word.toLowerCase() || first === word.toLowerCase());
    return found ? `<@${found[0]}>` : whole;
  });
}

// --- moving about ---

function redraw() { if (view.state) draw(view.state); }

function open(channel) {
  view.channel = channel;
  view.thread = "";
  view.tab = "messages";
  if (view.state.channels.some((one) => one.id === channel && one.kind === "im")) send("tab", { tab: "messages" });
  document.body.classList.remove("menu-open", "panel-open");
  refresh();
}

function become(person, channel = "") {
  view.me = person;
  view.thread = "";
  view.tab = "messages";
  if (channel || !view.state.channels.some((one) => one.id === view.channel && one.kind !== "im")) view.channel = channel || `D${person.slice(1)}`;
  view.mine = null;
  localStorage.setItem("me", person);
  document.body.classList.remove("menu-open");
  refresh();
}

function toggle(name) {
  const on = document.body.classList.toggle(name);
  byId("menu").setAttribute("aria-expanded", String(document.body.classList.contains("menu-open")));
  byId("open-panel").setAttribute("aria-expanded", String(document.body.classList.contains("panel-open")));
  return on;
}

// --- who has been paged ---

function notice(state, first) {
  const waiting = new Map(state.people.map((person) => [person.id, person.waiting]));
  if (!first && view.waiting) {
    for (const person of state.people) {
      if (person.waiting <= (view.waiting.get(person.id) ?? 0)) continue;
      const dm = `D${person.id.slice(1)}`;
      if (person.id !== state.me) toast(`${person.name} has been paged`, `Switch to ${person.name.split(" ")[0]}`, () => become(person.id, dm));
      else if (state.channel !== dm) toast("You have been paged", "Open", () => open(dm));
    }
  }
  view.waiting = waiting;
}

function toast(text, label, action) {
  const node = element("div", { class: "toast" }, element("span", {}, `🔔 ${text}`),
    element("button", { class: "button", onclick: () => { node.remove(); action(); } }, label));
  byId("toasts").append(node);
  while (byId("toasts").childElementCount > 3) byId("toasts").firstElementChild.remove();
  setTimeout(() => node.remove(), 12000);
}

// --- the demo's agents ---

function drawPanel(panel) {
  const root = byId("panel");
  root.hidden = !panel;
  byId("open-panel").hidden = !panel;
  if (!panel || root.querySelector("select:focus")) return;
  const titles = Object.fromEntries(Object.values(panel.menus).flat().flatMap((group) => group.failures.map((one) => [one.id, one.title])));
  const key = JSON.stringify(panel);
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  root.replaceChildren(
    element("div", { class: "pane-title" }, element("h2", {}, "Agents and gateway"), element("button", { class: "icon only-narrow", "aria-label": "Close", onclick: () => toggle("panel-open") }, "✕")),
    element("div", { class: "scroll" },
      element("p", { class: "quiet" }, panel.intro),
      ...panel.agents.map((agent) => agentCard(agent, panel.menus[agent.menu], titles)),
      element("div", { class: "notes" }, element("h3", {}, "Shortened for the demo"), ...panel.notes.map((note) => element("p", {}, note)))));
}

function agentCard(agent, menu, titles) {
  const broken = agent.failures.length > 0;
  const act = (action) => (event) => { event.currentTarget.disabled = true; send("panel", { target: agent.id, action }); };
  const other = element("select", { "aria-label": `Break ${agent.title} in another way` }, element("option", { value: "" }, "Other…"),
    ...menu.map((group) => element("optgroup", { label: group.heading },
      ...group.failures.filter((one) => one.id !== agent.signature).map((one) => element("option", { value: one.id }, one.title)))));
  other.addEventListener("change", () => { send("panel", { target: agent.id, action: other.value }); other.blur(); });
  const status = broken ? agent.failures.map((one) => titles[one]).join(", ") : agent.does;
  return element("section", { class: `agent${broken ? " broken" : ""}`, title: agent.does, "data-agent": agent.id },
    element("div", { class: "agent-head" }, element("span", { class: "light", "aria-hidden": "true" }, broken ? "■" : "●"),
      element("strong", {}, agent.id), element("span", { class: "quiet" }, agent.owner)),
    element("div", { class: `agent-status ${broken ? "" : "quiet does"}` }, status),
    element("div", { class: "agent-buttons" }, ...(broken
      ? [element("button", { class: "button primary", onclick: act("mend") }, "Mend")]
      : [element("button", { class: "button danger-outline", onclick: act(agent.signature) }, titles[agent.signature]), other])));
}

byId("menu").addEventListener("click", () => toggle("menu-open"));
byId("open-panel").addEventListener("click", () => toggle("panel-open"));
for (const tab of byId("tabs").children) tab.addEventListener("click", () => showTab(tab.dataset.tab));
byId("close-thread").addEventListener("click", () => { view.thread = ""; redraw(); });
byId("main").addEventListener("click", () => document.body.classList.remove("menu-open"));
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") refresh(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.overflow[open]")) menu.open = false;
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.overflow[open]")) if (!menu.contains(event.target)) menu.open = false;
});
listen();
refresh();
