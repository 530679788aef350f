"use strict";

// Shows /openapi.json. Texts are inserted as text and never as HTML.

/** Returns a new element with these children, which are elements or texts. */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Returns `text` as nodes; parts between back quotes are code. */
function prose(text) {
  return (text || "").split("`").map((part, i) => (i % 2 ? element("code", "", part) : part));
}

function show(api) {
  const resolve = (item) =>
    item && item.$ref ? resolve(item.$ref.slice(2).split("/").reduce((at, key) => at[key], api)) : item;

  const typeName = (schema) => {
    if (!schema) return "";
    if (schema.$ref) return schema.$ref.split("/").pop();
    if (schema.anyOf || schema.oneOf) return (schema.anyOf || schema.oneOf).map(typeName).join(" or ");
    const type = [].concat(schema.type || "any").join(" or ");
    return schema.items ? `${type} of ${typeName(schema.items)}` : type;
  };

  const limits = (schema) =>
    ["minimum", "maximum", "maxItems", "maxProperties", "maxLength", "default", "enum"]
      .filter((key) => key in schema && !(key === "minimum" && schema[key] === 0))
      .map((key) => `${key}: ${[].concat(schema[key]).join(", ")}`)
      .join("; ");

  const row = (name, schema, isRequired, about) =>
    element("tr", "",
      element("td", "", element("code", "", name), isRequired ? " *" : ""),
      element("td", "", typeName(schema)),
      element("td", "", ...prose(about || schema.description), limits(schema) ? ` (${limits(schema)})` : ""));

  const table = (title, rows) =>
    rows.length ? [element("h4", "", title), element("table", "", ...rows)] : [];

  const fields = (schema) => {
    const all = resolve(schema) || {};
    const required = new Set(all.required || []);
    return Object.entries(all.properties || {}).map(([name, field]) => row(name, field, required.has(name)));
  };

  const content = (title, body) =>
    Object.entries((body && body.content) || {}).flatMap(([media, { schema }]) => {
      const rows = fields(schema);
      return [element("h4", "", `${title}: `, element("code", "", media), ` ${typeName(schema)}`),
        ...(rows.length ? [element("table", "", ...rows)] : [])];
    });

  const operation = (path, method, item) => {
    const parameters = (item.parameters || []).map(resolve);
    const responses = Object.entries(item.responses).map(([status, response]) => [status, resolve(response)]);
    return element("details", "",
      element("summary", "",
        element("span", "method", method.toUpperCase()), element("code", "", path),
        element("span", "about", item.summary || "")),
      element("p", "", ...prose(item.description)),
      ...table("Parameters (* required)", parameters.map((p) => row(p.name, p.schema, p.required, p.description))),
      ...content("Request", resolve(item.requestBody)),
      ...responses.filter(([status]) => status < 300).flatMap(([status, r]) => [
        element("h4", "", `Response ${status}`), element("p", "", ...prose(r.description)), ...content("Content", r)]),
      ...table("Errors", responses.filter(([status]) => status >= 300).map(([status, r]) =>
        element("tr", "", element("td", "", status), element("td", "", ...prose(r.description))))));
  };

  document.getElementById("about").replaceChildren(...prose(api.info.description));
  const sections = api.tags.map((tag) => {
    const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, item]) => (item.tags || []).includes(tag.name))
        .map(([method, item]) => operation(path, method, item)));
    return element("section", "", element("h2", "", tag.name), element("p", "", tag.description), ...operations);
  });
  const schemas = Object.keys(api.components.schemas).map((name) => {
    const schema = api.components.schemas[name];
    return element("details", "", element("summary", "", element("code", "", name)),
      element("p", "", ...prose(schema.description)), element("table", "", ...fields(schema)));
  });
  document.getElementById("operations").replaceChildren(...sections,
    element("section", "", element("h2", "", "Schemas"), ...schemas));
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => {
    document.getElementById("operations").textContent = `The document cannot be shown: ${error}`;
  });
