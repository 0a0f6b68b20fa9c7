// `/imagine prompt: a red apple steps: 20` into a command and its options. Pure, so that it can be tested by itself.

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The command that the text names in full (followed by a blank or the end), the longest first. */
export function commandOf(text, commands) {
  if (!text.startsWith("/")) return null;
  const typed = text.slice(1).toLowerCase();
  let best = null;
  for (const command of commands) {
    for (const label of new Set([command.label, command.name])) {
      const whole = typed.startsWith(label.toLowerCase()) && /^(\s|$)/.test(typed.slice(label.length));
      if (whole && (!best || label.length > best.length)) best = { command, length: label.length };
    }
  }
  return best && { command: best.command, end: best.length + 1 };
}

/** Commands that begin like the text, then those that contain it. */
export function matching(text, commands) {
  const typed = text.slice(1).toLowerCase().trimEnd();
  const score = (command) => {
    const names = [command.label.toLowerCase(), command.name.toLowerCase()];
    if (names.some((name) => name.startsWith(typed))) return 0;
    return names.some((name) => name.includes(typed)) ? 1 : command.description.toLowerCase().includes(typed) && typed.length > 2 ? 2 : 3;
  };
  return commands.map((command) => [score(command), command]).filter(([rank]) => rank < 3).sort((a, b) => a[0] - b[0]).map(([, command]) => command);
}

/**
 * Options by name: {name: {text, start, end, from}}; `from` is where `name:` begins, start..end the value.
 * What stands before the first option fills the first one: `/imagine a red apple`.
 */
export function optionsOf(text, command, begin) {
  const spots = [];
  for (const option of command.options) {
    const names = [...new Set([option.label, option.name])].map(escape).join("|");
    const rest = text.slice(begin);
    // Names are lower case; "Steps: 20, Seed: 7" of a pasted parameter text is text. Phones begin with a capital.
    const hit = new RegExp(`(^|\\s)(${names}):`).exec(rest) ?? new RegExp(`^(\\s*)(${names}):`, "i").exec(rest);
    if (hit) spots.push({ option, from: begin + hit.index + hit[1].length, start: begin + hit.index + hit[0].length });
  }
  spots.sort((a, b) => a.from - b.from);
  const found = {};
  spots.forEach((spot, index) => {
    const end = spots[index + 1]?.from ?? text.length;
    found[spot.option.name] = { text: text.slice(spot.start, end).trim(), start: spot.start, end, from: spot.from };
  });
  const free = text.slice(begin, spots[0]?.from ?? text.length);
  const first = command.options.find((option) => option.type !== 11);
  if (free.trim() && first && !found[first.name]) {
    found[first.name] = { text: free.trim(), start: begin, end: begin + free.length, from: begin };
  }
  return found;
}
