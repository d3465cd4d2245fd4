"use strict";
// Draws /openapi.json: every operation with its parameters, examples and answers, and a way to try it.

const METHODS = ["get", "post", "put", "patch", "delete"];
let api = {};

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function resolved(schema) {
  const name = schema && schema.$ref && schema.$ref.split("/").pop();
  return name ? api.components.schemas[name] || {} : schema || {};
}

function kind(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.type === "array") return `list of ${kind(schema.items || {})}`;
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map(kind).join(" or ");
  return schema.enum ? schema.enum.map((each) => JSON.stringify(each)).join(", ") : schema.type || "any";
}

function fields(schema) {
  const found = resolved(schema);
  const names = Object.entries(found.properties || {});
  if (!names.length) return null;
  const needed = new Set(found.required || []);
  const rows = names.map(([name, each]) => make("tr", {},
    make("td", { className: "path" }, name), make("td", {}, kind(each)),
    make("td", {}, needed.has(name) ? "required" : ""), make("td", {}, each.description || "")));
  return make("table", {}, make("tbody", {}, ...rows));
}

function example(content) {
  if (content.example !== undefined) return content.example;
  const first = Object.values(content.examples || {})[0];
  if (first) return first.value;
  const schema = resolved(content.schema);
  return (schema.examples || [schema.example]).find((each) => each !== undefined);
}

function parameterTable(parameters, inputs) {
  if (!parameters.length) return null;
  const rows = parameters.map((each) => {
    const input = make("input", { size: 28, placeholder: kind(each.schema || {}) });
    if (each.example !== undefined) input.value = text(each.example);
    inputs.push({ each, input });
    return make("tr", {}, make("td", { className: "path" }, each.name), make("td", {}, each.in),
      make("td", {}, input), make("td", {}, each.required ? "required" : ""),
      make("td", {}, each.description || ""));
  });
  return make("table", {}, make("tbody", {}, ...rows));
}

async function send(method, path, inputs, body, media, output) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  for (const { each, input } of inputs) {
    if (each.in === "path") address = address.replace(`{${each.name}}`, encodeURIComponent(input.value));
    else if (input.value && each.in === "query") query.set(each.name, input.value);
    else if (input.value && each.in === "header") headers[each.name] = input.value;
  }
  const key = document.getElementById("key").value.trim();
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = media.value;
  const asked = query.size ? `${address}?${query}` : address;
  output.textContent = "...";
  try {
    const began = performance.now();
    const answer = await fetch(asked.slice(1), { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
    const got = await answer.text();
    let shown = got;
    try { shown = JSON.stringify(JSON.parse(got), null, 2); } catch { /* It is shown as it came. */ }
    output.textContent = `${answer.status} ${answer.statusText}, ${Math.round(performance.now() - began)} ms\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function answers(operation) {
  const rows = Object.entries(operation.responses || {}).map(([status, each]) => {
    const content = Object.values(each.content || {})[0];
    const shown = content && example(content);
    const inside = shown === undefined ? null
      : make("details", {}, make("summary", {}, "example"), make("pre", {}, text(shown)));
    return make("tr", {}, make("td", { className: "path" }, status), make("td", {}, each.description || "", inside));
  });
  return make("table", {}, make("tbody", {}, ...rows));
}

function requestBody(operation) {
  const contents = Object.entries((operation.requestBody || {}).content || {});
  if (!contents.length) return null;
  const media = make("select", {}, ...contents.map(([name]) => make("option", { value: name }, name)));
  const area = make("textarea", { spellcheck: false });
  const fill = () => { area.value = text(example(contents[media.selectedIndex][1]) ?? ""); };
  media.addEventListener("change", fill);
  fill();
  const part = make("div", {}, make("h3", {}, "Body ", media), fields(contents[0][1].schema), area);
  return { part, area, media };
}

function drawn(method, path, operation) {
  const inputs = [];
  const output = make("pre", { hidden: true });
  const body = requestBody(operation);
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", () => {
    output.hidden = false;
    send(method, path, inputs, body && body.area, body && body.media, output);
  });
  const inside = make("div", {});
  const summary = make("summary", {}, make("span", { className: "method" }, method.toUpperCase()),
    make("span", { className: "path" }, path), " ", make("span", { className: "soft" }, operation.summary || ""));
  const element = make("details", { className: "operation" }, summary, inside);
  element.addEventListener("toggle", () => {
    if (!element.open || inside.childNodes.length) return;
    const scope = operation["x-scope"];
    const parts = [make("p", {}, operation.description || ""), scope ? make("p", { className: "soft" }, `Scope ${scope}`) : null,
      parameterTable(operation.parameters || [], inputs), body && body.part,
      make("h3", {}, "Answers"), answers(operation), button, output];
    inside.append(...parts.filter((part) => part !== null));
  });
  element.dataset.words = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  return element;
}

function draw() {
  const groups = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((each) => each in operations)) {
      const name = (operations[method].tags || ["Other"])[0];
      if (!groups.has(name)) groups.set(name, make("section", {}, make("h2", {}, name)));
      groups.get(name).append(drawn(method, path, operations[method]));
    }
  }
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  document.getElementById("operations").replaceChildren(...groups.values());
}

function find() {
  const words = document.getElementById("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("section")) {
    let shown = false;
    for (const each of section.querySelectorAll("details.operation")) {
      each.hidden = !words.every((word) => each.dataset.words.includes(word));
      shown = shown || !each.hidden;
    }
    section.hidden = !shown;
  }
}

document.getElementById("find").addEventListener("input", find);
fetch("openapi.json").then((answer) => answer.json()).then((found) => { api = found; draw(); }, (error) => {
  document.getElementById("operations").textContent = `The document cannot be read: ${error}`;
});
