// Slack's mrkdwn as DOM nodes. Text only ever becomes text nodes, so nothing in a message can be markup of this page.

const EMOJI = {
  white_check_mark: "✅", x: "❌", warning: "⚠️", rotating_light: "🚨", red_circle: "🔴", large_green_circle: "🟢",
  large_yellow_circle: "🟡", white_circle: "⚪", bell: "🔔", no_bell: "🔕", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  question: "❓", eyes: "👀", fire: "🔥", tada: "🎉", book: "📖", link: "🔗", wave: "👋", point_right: "👉", information_source: "ℹ️",
};
const INLINE =
  /`([^`\n]+)`|<([^<>\n]+)>|(?<![\p{L}\p{N}*])\*(?!\s)([^*\n]+?)(?<!\s)\*(?![\p{L}\p{N}*])|(?<![\p{L}\p{N}_])_(?!\s)([^_\n]+?)(?<!\s)_(?![\p{L}\p{N}_])|(?<![\p{L}\p{N}~])~(?!\s)([^~\n]+?)(?<!\s)~(?![\p{L}\p{N}~])|:([a-z0-9_+-]+):/gu;

export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

export function decode(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

export function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// `names` has users and channels by id; `zone` and `me` belong to the reader.
export function mrkdwn(text, names) {
  const out = document.createDocumentFragment();
  const parts = text.split(/```/);
  parts.forEach((whole, index) => {
    // The line breaks around a code block belong to the block.
    const part = index % 2 ? whole : whole.replace(index > 0 ? /^\n/ : /^$/, "").replace(index < parts.length - 1 ? /\n$/ : /$^/, "");
    if (index % 2) out.append(element("pre", {}, element("code", {}, decode(part.replace(/^\n|\n$/g, "")))));
    else appendLines(out, part, names);
  });
  return out;
}

function appendLines(out, text, names) {
  const lines = text.split("\n");
  let quote = null;
  lines.forEach((line, index) => {
    const quoted = /^(&gt;|>) ?/.test(line);
    if (quoted) {
      if (!quote) out.append((quote = element("blockquote")));
      else quote.append(element("br"));
      appendInline(quote, line.replace(/^(&gt;|>) ?/, ""), names);
      return;
    }
    const afterQuote = quote !== null;
    quote = null;
    if (index > 0 && !afterQuote) out.append(element("br"));
    appendInline(out, line, names);
  });
}

function appendInline(out, text, names) {
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, angle, bold, italic, strike, emoji] = match;
    const node = code !== undefined ? element("code", {}, decode(code))
      : angle !== undefined ? special(angle, names)
      : bold !== undefined ? nested("strong", bold, names)
      : italic !== undefined ? nested("em", italic, names)
      : strike !== undefined ? nested("s", strike, names)
      : EMOJI[emoji];
    if (node === undefined) continue;
    out.append(decode(text.slice(last, match.index)), node);
    last = match.index + whole.length;
  }
  out.append(decode(text.slice(last)));
}

function nested(tag, text, names) {
  const node = element(tag);
  appendInline(node, text, names);
  return node;
}

function special(body, names) {
  const [target, label] = body.split(/\|(.*)/s);
  if (target.startsWith("@")) {
    const id = target.slice(1);
    return element("span", { class: id === names.me ? "mention me" : "mention" }, `@${names.users[id] ?? label ?? id}`);
  }
  if (target.startsWith("#")) return element("span", { class: "mention" }, `#${names.channels[target.slice(1)] ?? label ?? ""}`);
  if (target.startsWith("!date^")) return date(target, label, names.zone);
  if (target.startsWith("!subteam^")) return element("span", { class: "mention" }, `@${names.groups?.[target.slice(9)] ?? label?.replace(/^@/, "") ?? "group"}`);
  if (target.startsWith("!")) return element("span", { class: "mention me" }, `@${decode(label ?? target.slice(1)).replace(/^@/, "")}`);
  const url = decode(target);
  if (!/^(https?:|mailto:)/.test(url)) return document.createTextNode(`<${decode(body)}>`);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, decode(label ?? target).replace(/^mailto:/, ""));
}

function date(target, fallback, zone) {
  const [, seconds, format, link] = target.split("^");
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime())) return document.createTextNode(decode(fallback ?? ""));
  const show = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }).format(at);
  const day = { day: "numeric", month: "short", year: "numeric" };
  const words = {
    date_num: () => show({ year: "numeric", month: "2-digit", day: "2-digit" }),
    date: () => show({ ...day, month: "long" }),
    date_short: () => show(day),
    date_long: () => show({ ...day, month: "long", weekday: "long" }),
    date_pretty: () => pretty(at, zone, show(day)),
    date_short_pretty: () => pretty(at, zone, show(day)),
    date_long_pretty: () => pretty(at, zone, show(day)),
    time: () => show({ hour: "2-digit", minute: "2-digit" }),
    time_secs: () => show({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    ago: () => ago(at),
  };
  const text = format.replace(/\{(\w+)\}/g, (whole, name) => (words[name] ? words[name]() : whole));
  const node = element("time", { datetime: at.toISOString(), title: `${at.toISOString().slice(0, 19).replace("T", " ")} UTC` }, decode(text));
  return link && /^https?:/.test(link) ? element("a", { href: decode(link), target: "_blank", rel: "noopener noreferrer" }, node) : node;
}

function pretty(at, zone, otherwise) {
  const day = (date) => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(date);
  const today = new Date();
  if (day(at) === day(today)) return "today";
  if (day(at) === day(new Date(today.getTime() - 86400000))) return "yesterday";
  return otherwise;
}

function ago(at) {
  const seconds = Math.max(0, Math.round((Date.now() - at.getTime()) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}
