// Runs the page of the documentation in a document of the least that it needs, against a service.
// Usage: node docs.mjs SERVICE KEY; prints what the page drew, as JSON.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const [service, key] = process.argv.slice(2);

class Element {
  constructor(tag) {
    Object.assign(this, { tag, childNodes: [], dataset: {}, heard: {}, value: "", hidden: false });
  }
  append(...children) { this.childNodes.push(...children); }
  replaceChildren(...children) { this.childNodes = children; }
  addEventListener(name, heard) { this.heard[name] = heard; }
  get selectedIndex() { return 0; }
  *all() {
    for (const child of this.childNodes.filter((each) => each instanceof Element)) {
      yield child;
      yield* child.all();
    }
  }
  querySelectorAll(selector) {
    const [tag, name] = selector.split(".");
    return [...this.all()].filter((each) => each.tag === tag && (!name || each.className === name));
  }
  get text() {
    return (this.textContent ?? "") + this.childNodes.map((each) => each.text ?? each).join(" ");
  }
}

const known = Object.fromEntries(
  ["about", "operations", "find", "key"].map((id) => [id, new Element(id)]));
known.key.value = key;
const asked = [];
const context = vm.createContext({
  console, URLSearchParams, performance,
  document: {
    createElement: (tag) => new Element(tag),
    getElementById: (id) => known[id],
    querySelectorAll: (selector) => known.operations.querySelectorAll(selector),
  },
  fetch: async (path, options) => {
    asked.push([options?.method ?? "GET", path]);
    return fetch(`${service}/${path}`, options);
  },
});
vm.runInContext(readFileSync(0, "utf-8"), context);
while (!known.operations.childNodes.length) await new Promise((done) => setTimeout(done, 10));

const operations = known.operations.querySelectorAll("details.operation");
for (const each of operations) {
  each.open = true;
  each.heard.toggle();
}
known.find.value = "publish flow";
known.find.heard.input();
const found = operations.filter((each) => !each.hidden).map((each) => each.dataset.words);

const list = operations.find((each) => each.dataset.words.startsWith("get /v1/flows "));
const input = list.querySelectorAll("input")[0];
input.value = "running";
list.querySelectorAll("button")[0].heard.click();
const output = list.querySelectorAll("pre").find((each) => each.textContent !== undefined);
while (output.textContent === "...") await new Promise((done) => setTimeout(done, 10));

console.log(JSON.stringify({
  about: known.about.textContent,
  words: operations.map((each) => each.dataset.words),
  empty: operations.filter((each) => each.text.length < 40).map((each) => each.dataset.words),
  found, asked, answer: output.textContent,
}));
