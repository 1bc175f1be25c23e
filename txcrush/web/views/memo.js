import { Component, html } from "./html.js";

// A view that is drawn again only when one of its properties is another object.
export function memo(view) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]);
      return [...names].some((name) => name !== "children" && next[name] !== this.props[name]);
    }

    render(props) {
      return html`<${view} ...${props} />`;
    }
  };
}
