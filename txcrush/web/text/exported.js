// A session as a file.

import { finishOf, resultsOf, textOf } from "../state/derived.js";

export function asJson(session, messages) {
  return `${JSON.stringify({ session, messages }, null, 2)}\n`;
}

export function asMarkdown(session, messages) {
  const results = resultsOf(messages);
  const parts = [`# ${session.title || "Untitled"}`];
  for (const message of messages) {
    if (message.role === "user") parts.push(...promptLines(message));
    if (message.role === "assistant") parts.push(...answerLines(message, results));
  }
  return `${parts.join("\n\n")}\n`;
}

function promptLines(message) {
  const shell = message.parts.find((part) => part.type === "shell_command")?.data;
  if (shell) return ["## Command", fenced(`$ ${shell.command}\n${shell.output}`)];
  const files = message.parts.filter((part) => part.type === "binary").map((part) => `- ${part.data.Path}`);
  return ["## Prompt", textOf(message), ...(files.length ? [files.join("\n")] : [])];
}

function answerLines(message, results) {
  const lines = [`## Answer (${message.model})`];
  for (const { type, data } of message.parts) {
    if (type === "text") lines.push(data.text);
    if (type === "tool_call") {
      lines.push(`**${data.name}**`, fenced(data.input));
      const result = results.get(data.id);
      if (result) lines.push(fenced(result.content));
    }
  }
  const finish = finishOf(message);
  if (finish?.reason === "error" || finish?.reason === "canceled") lines.push(`*${finish.message || finish.reason}*`);
  return lines;
}

// A fence that is longer than any inside.
function fenced(text) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
}
