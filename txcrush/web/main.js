// The start of the page: the token of its address becomes a cookie, then everything is drawn.

import { Page } from "./page.js";
import { App } from "./views/app.js";
import { html, render } from "./views/html.js";
import { listenToKeys } from "./keys.js";

const page = new Page();
const root = document.getElementById("app");
root.replaceChildren();

const draw = () => render(html`<${App} app=${page.app} state=${page.store.state} actions=${page.actions} />`, root);

page.onChange(draw);
listenToKeys(page);
draw();
await page.start();
