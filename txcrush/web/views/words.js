// How the page says times, sizes and sums.

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const NUMBER = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export function clock(seconds) {
  const at = new Date(seconds * 1000);
  return (Date.now() - at < 20 * 3600_000 ? TIME : DAY).format(at);
}

export function ago(seconds) {
  const past = Math.max(0, Date.now() / 1000 - seconds);
  if (past < 60) return "now";
  if (past < 3600) return `${Math.floor(past / 60)} min`;
  if (past < 86400) return `${Math.floor(past / 3600)} h`;
  return `${Math.floor(past / 86400)} d`;
}

export const count = (number) => NUMBER.format(number);

export function dollars(cost) {
  if (!cost) return "";
  return cost < 0.01 ? "< $0.01" : `$${cost.toFixed(2)}`;
}
