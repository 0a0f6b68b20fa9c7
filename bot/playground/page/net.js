// The page's API, the texts and what the page knows of the world.

export const world = { boot: null, me: null, channel: null, commands: { slash: [], message: [] } };

export class Refusal extends Error {
  constructor(error) {
    super(error.text);
    this.key = error.key;
    this.option = error.option;
  }
}

export function t(key, values = {}) {
  const text = world.boot?.texts[key] ?? key;
  return text.replace(/\{(\w+)(?::[^}]*)?\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export async function call(method, path, { query = {}, body = null, files = null } = {}) {
  const headers = { "X-Locale": world.boot?.locale || navigator.language || "en-US" };
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined) url.searchParams.set(name, value);
  let payload;
  if (files && Object.keys(files).length) {
    payload = new FormData();
    payload.append("payload_json", JSON.stringify(body));
    for (const [name, file] of Object.entries(files)) payload.append(name, file, file.name);
  } else if (body !== null) {
    headers["Content-Type"] = "application/json";
    payload = JSON.stringify(body);
  }
  let answer, found;
  try {
    answer = await fetch(url, { method, headers, body: payload });
    found = await answer.json();
  } catch {
    throw new Refusal({ key: answer?.status === 413 ? "file.request" : "error.network", text: t(answer?.status === 413 ? "file.request" : "error.network"), option: null });
  }
  if (found.error) throw new Refusal(found.error);
  return found;
}

export const interact = (body, files) =>
  call("POST", "/page/interact", { body: { user: world.me, channel: world.channel.id, ...body }, files });

/** Follows the live edits; calls back with each event, and with {t: "lost", text} and {t: "found"} around a gap. */
export function follow(onEvent) {
  let socket = null, wait = 300, lost = false, stopped = false;
  const open = () => {
    if (stopped) return;
    socket = new WebSocket(`ws://${location.host}/page/live?user=${world.me}`);
    socket.onopen = () => {
      wait = 300;
      if (lost) onEvent({ t: "found" });
      lost = false;
    };
    socket.onmessage = (event) => onEvent(JSON.parse(event.data));
    socket.onclose = () => {
      if (stopped) return;
      if (!lost) onEvent({ t: "lost", text: t("error.network") });
      lost = true;
      // Answered by another start, it says so: this page's key will never fit again.
      call("GET", "/page/boot", { query: { user: world.me } }).catch((refusal) => lost && onEvent({ t: "lost", text: refusal.message }));
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 5000);
    };
  };
  open();
  return () => { stopped = true; socket?.close(); };
}

export const userName = (id) => world.boot.users[id]?.name ?? id;
export const channelName = (id) => world.boot.channels.find((row) => row.id === id)?.name ?? id;
