// Terminal output as styled pieces: only colours and emphasis are kept, everything else that a terminal would obey is
// dropped. No HTML is made here.

const ESCAPES = /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

const FLAGS = new Map([
  [1, "bold"], [2, "dim"], [3, "italic"], [4, "underline"], [7, "inverse"], [9, "struck"],
]);
const ENDED = new Map([
  [22, ["bold", "dim"]], [23, ["italic"]], [24, ["underline"]], [27, ["inverse"]], [29, ["struck"]],
]);

// Pieces {text, classes} of the output; `classes` are names such as "bold", "fg-1", "bg-12".
export function pieces(output) {
  const found = [];
  const style = { flags: new Set(), fg: "", bg: "" };
  let from = 0;
  const text = overwritten(output);
  const put = (to) => {
    if (to > from) found.push({ text: text.slice(from, to), classes: classesOf(style) });
  };
  for (const match of text.matchAll(ESCAPES)) {
    put(match.index);
    from = match.index + match[0].length;
    if (match[1] !== undefined) apply(style, match[1]);
  }
  put(text.length);
  return found;
}

// What a terminal shows of lines that a bare carriage return starts again, as progress bars do.
function overwritten(output) {
  if (!output.includes("\r")) return output;
  return output.replaceAll("\r\n", "\n").split("\n").map((line) => {
    const parts = line.split("\r");
    return parts.findLast((part) => part !== "") ?? "";
  }).join("\n");
}

function classesOf({ flags, fg, bg }) {
  const classes = [...flags];
  if (fg) classes.push(`fg-${fg}`);
  if (bg) classes.push(`bg-${bg}`);
  return classes.join(" ");
}

function apply(style, codes) {
  const numbers = codes.split(/[;:]/).map((code) => Number(code || 0));
  for (let at = 0; at < numbers.length; at++) {
    const code = numbers[at];
    if (code === 38 || code === 48) {
      const [colour, used] = extended(numbers, at + 1);
      style[code === 38 ? "fg" : "bg"] = colour;
      at += used;
    } else {
      applyOne(style, code);
    }
  }
}

function applyOne(style, code) {
  if (code === 0) Object.assign(style, { flags: new Set(), fg: "", bg: "" });
  else if (FLAGS.has(code)) style.flags.add(FLAGS.get(code));
  else if (ENDED.has(code)) ENDED.get(code).forEach((flag) => style.flags.delete(flag));
  else if (code >= 30 && code <= 37) style.fg = String(code - 30);
  else if (code >= 90 && code <= 97) style.fg = String(code - 82);
  else if (code >= 40 && code <= 47) style.bg = String(code - 40);
  else if (code >= 100 && code <= 107) style.bg = String(code - 92);
  else if (code === 39) style.fg = "";
  else if (code === 49) style.bg = "";
}

// A colour of 256 or of 16 million as the nearest of the sixteen that the page has a readable shade of.
function extended(numbers, at) {
  if (numbers[at] === 5) return [nearestOf256(numbers[at + 1] ?? 0), 2];
  if (numbers[at] === 2) return [nearest(numbers.slice(at + 1, at + 4)), 4];
  return ["", 0];
}

function nearestOf256(index) {
  if (index < 16) return String(index);
  if (index >= 232) return ["0", "8", "7", "15"][Math.min(3, Math.floor((index - 232) / 6))];
  const cube = index - 16;
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((part) => part * 51));
}

function nearest([red = 0, green = 0, blue = 0]) {
  const top = Math.max(red, green, blue);
  if (top < 48) return "0";
  const bits = [red, green, blue].map((part, bit) => (part > top / 2 ? 1 << bit : 0)).reduce((sum, part) => sum + part);
  return String(bits + (top > 191 && bits !== 7 ? 8 : bits === 7 && top > 220 ? 8 : 0));
}
