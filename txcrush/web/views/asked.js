import { html, useState } from "./html.js";
import { Wanted } from "./tool.js";

// What waits for somebody in this session: one card at a time, the oldest first.
export function Asked({ permissions, questions, actions, state, sessionId }) {
  const [request] = permissions;
  const [batch] = questions;
  const more = permissions.length + questions.length - 1;
  if (!request && !batch) return null;
  const card = request
    ? html`<${PermissionCard} key=${request.id} request=${request} actions=${actions} fromAgent=${request.session_id !== sessionId} />`
    : html`<${QuestionForm} key=${batch.id} batch=${batch} actions=${actions} />`;
  return html`<div class="asked" role="region" aria-label="Waiting for you" aria-live="polite">${card}
    ${more > 0 && html`<p class="hint">${more} more ${more === 1 ? "waits" : "wait"} behind this.</p>`}</div>`;
}

function PermissionCard({ request, actions, fromAgent }) {
  const [isSent, setSent] = useState(false);
  const answer = async (action) => {
    setSent(true);
    if (!(await actions.answer(request, action))) setSent(false);
  };
  return html`<section class="card permission" aria-labelledby="ask-${request.id}">
    <h2 id="ask-${request.id}"><strong>${request.tool_name}</strong> asks to ${request.action || "go on"}
      ${fromAgent && html`<span class="chip">sub-agent</span>`}</h2>
    ${request.params?.command === undefined && html`<p class="description">${request.description}</p>`}
    ${request.path && html`<p class="hint path">${request.path}</p>`}
    <div class="wanted"><${Wanted} request=${request} /></div>
    <div class="buttons">
      <button type="button" class="primary" disabled=${isSent} data-key="a" onClick=${() => answer("allow")}>Allow once</button>
      <button type="button" disabled=${isSent} data-key="s" onClick=${() => answer("allow_session")}>Allow for this session</button>
      <button type="button" class="danger" disabled=${isSent} data-key="d" onClick=${() => answer("deny")}>Deny</button>
    </div>
  </section>`;
}

function QuestionForm({ batch, actions }) {
  const [answers, setAnswers] = useState({});
  const [isSent, setSent] = useState(false);
  const change = (id, part) => setAnswers({ ...answers, [id]: { ...answers[id], ...part } });
  const send = async (event) => {
    event.preventDefault();
    setSent(true);
    const responses = batch.questions.map((question) => ({ request_id: question.id, ...cleaned(answers[question.id]) }));
    if (!(await actions.answerQuestions(batch, responses))) setSent(false);
  };
  return html`<form class="card question" onSubmit=${send} aria-label="Questions">
    ${batch.questions.map((question) => html`<${Question} key=${question.id} question=${question}
      answer=${answers[question.id] ?? {}} change=${(part) => change(question.id, part)} />`)}
    ${batch.questions.length > 1 && html`<p class="hint">${batch.confirm_description}</p>`}
    <div class="buttons">
      <button type="submit" class="primary" disabled=${isSent}>Answer</button>
      <button type="button" disabled=${isSent} onClick=${() => actions.cancelQuestions(batch)}>Do not answer</button>
    </div>
  </form>`;
}

function Question({ question, answer, change }) {
  const name = `q-${question.id}`;
  return html`<fieldset>
    <legend>${question.label && html`<span class="chip">${question.label}</span>`} ${question.question}</legend>
    ${question.description && html`<p class="hint">${question.description}</p>`}
    <${Choices} question=${question} name=${name} answer=${answer} change=${change} />
    ${question.type !== "yes_no" && html`<label class="field"><span>${question.type === "free_text" ? "Your answer" : "Or in your words"}</span>
      <textarea rows=${question.type === "free_text" ? 3 : 1} value=${answer.fill_in_text ?? ""}
        onInput=${(event) => change({ fill_in_text: event.currentTarget.value })}></textarea></label>`}
    <label class="field note"><span>Note</span><input type="text" value=${answer.notes?._question ?? ""}
      onInput=${(event) => change({ notes: { _question: event.currentTarget.value } })} /></label>
  </fieldset>`;
}

function Choices({ question, name, answer, change }) {
  const selected = answer.selected_ids ?? [];
  if (question.type === "yes_no") {
    return [true, false].map((value) => html`<${Choice} key=${String(value)} type="radio" name=${name} label=${value ? "Yes" : "No"}
      isChecked=${answer.yes === value} pick=${() => change({ yes: value })} />`);
  }
  const isMany = question.type === "multi_choice";
  const pick = (id) => {
    if (!isMany) return change({ selected_ids: [id] });
    return change({ selected_ids: selected.includes(id) ? selected.filter((one) => one !== id) : [...selected, id] });
  };
  return (question.choices ?? []).map((choice) => html`<${Choice} key=${choice.id} type=${isMany ? "checkbox" : "radio"} name=${name}
    label=${choice.label} description=${choice.description} isChecked=${selected.includes(choice.id)} pick=${() => pick(choice.id)} />`);
}

function Choice({ type, name, label, description, isChecked, pick }) {
  return html`<label class="choice"><input type=${type} name=${name} checked=${isChecked} onChange=${pick} />
    <span>${label}${description && html`<small>${description}</small>`}</span></label>`;
}

function cleaned(answer = {}) {
  const { yes, selected_ids, fill_in_text, notes } = answer;
  const kept = {};
  if (yes !== undefined) kept.yes = yes;
  if (selected_ids?.length) kept.selected_ids = selected_ids;
  if (fill_in_text) kept.fill_in_text = fill_in_text;
  if (notes?._question) kept.notes = notes;
  return kept;
}
