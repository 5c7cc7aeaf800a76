// Two pictures under one grid of patches: on the left the patch that asks is framed, on the right every patch is as
// bright as the attention that it gets. A click or the arrow keys choose the patch; token 0, above the grid, is CLS.
const SVG = "http://www.w3.org/2000/svg";
const TOP = 1.25; // room for CLS above the grid, in patches

function draw(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

function panel(model, caption, parent) {
  const [rows, columns] = [model.get("rows"), model.get("columns")];
  const figure = document.createElement("figure");
  figure.style.cssText = "margin: 0; flex: 1 1 200px; max-width: 320px; min-width: 0";
  const title = document.createElement("figcaption");
  title.textContent = caption;
  title.style.cssText = "line-height: 1.5; color: var(--jp-ui-font-color1, inherit)";
  figure.append(title);
  parent.append(figure);
  const view = `-0.08 ${-TOP - 0.08} ${columns + 0.16} ${rows + TOP + 0.16}`;
  const svg = draw("svg", { viewBox: view, "aria-hidden": "true", style: "width: 100%; display: block" }, figure);
  draw("image", { href: model.get("picture"), width: columns, height: rows, preserveAspectRatio: "none" }, svg);
  draw("rect", { x: 0, y: -TOP, width: 2, height: 1, fill: "#0072B2" }, svg);
  const cells = [draw("rect", { x: 0, y: -TOP, width: 2, height: 1, fill: "black" }, svg)];
  for (let token = 1; token <= rows * columns; token++) {
    const [row, column] = [Math.floor((token - 1) / columns), (token - 1) % columns];
    cells.push(draw("rect", { x: column, y: row, width: 1, height: 1, fill: "black" }, svg));
  }
  cells.forEach((cell, token) => {
    cell.dataset.token = token;
    cell.style.cursor = "pointer";
    cell.setAttribute("stroke", "rgba(255, 255, 255, .35)");
    cell.setAttribute("stroke-width", 0.02);
  });
  const name = { x: 1, y: -TOP + 0.52, fill: "white", "font-size": 0.55, "font-weight": 600, "text-anchor": "middle" };
  const text = draw("text", { ...name, "dominant-baseline": "middle", "pointer-events": "none" }, svg);
  text.textContent = "CLS";
  const frames = [["black", 0.16], ["#F0E442", 0.09]].map(([stroke, width]) =>
    draw("rect", { fill: "none", stroke, "stroke-width": width, "pointer-events": "none" }, svg));
  return { cells, frames };
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "vit-attention";
  box.tabIndex = 0;
  box.setAttribute("role", "slider"); // one value, changed by arrow keys and told in words
  box.setAttribute("aria-label", "Token that asks");
  box.style.cssText = "display: flex; flex-wrap: wrap; gap: 16px; padding: 4px";
  el.append(box);
  let panels = [];

  function build() {
    box.replaceChildren();
    panels = [panel(model, "who asks: click a patch", box), panel(model, "who answers: bright = much attention", box)];
    update();
  }

  function update() {
    const [query, columns, shares] = [model.get("query"), model.get("columns"), model.get("shares")];
    const largest = Math.max(...shares);
    const place = query === 0
      ? { x: 0, y: -TOP, width: 2, height: 1 }
      : { x: (query - 1) % columns, y: Math.floor((query - 1) / columns), width: 1, height: 1 };
    panels.forEach(({ cells, frames }, which) => {
      cells.forEach((cell, token) => {
        const share = `${(100 * shares[token]).toFixed(1)} %`;
        cell.setAttribute("fill-opacity", which === 0 ? 0 : 0.92 * (1 - shares[token] / largest));
        cell.replaceChildren();
        draw("title", {}, cell).textContent = `${token === 0 ? "CLS" : `patch ${token}`}: ${share}`;
      });
      for (const frame of frames) {
        for (const [name, value] of Object.entries(place)) frame.setAttribute(name, value);
      }
    });
    box.setAttribute("aria-valuemin", 0);
    box.setAttribute("aria-valuemax", shares.length - 1);
    box.setAttribute("aria-valuenow", query);
    box.setAttribute("aria-valuetext", model.get("words"));
  }

  function ask(token) {
    model.set("query", token);
    model.save_changes();
  }

  box.addEventListener("click", (event) => {
    const token = event.target.dataset?.token;
    if (token !== undefined) ask(Number(token));
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    const [query, rows, columns] = [model.get("query"), model.get("rows"), model.get("columns")];
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab moves between cells with the same keys
    const column = (query - 1) % columns;
    const beyond = { ArrowLeft: column === 0, ArrowRight: column === columns - 1, ArrowDown: query + columns > rows * columns };
    if (query === 0) ask(event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : 0);
    else if (!beyond[event.key]) ask(Math.max(query + steps[event.key], 0)); // above the top row lies CLS
  });
  model.on("change:picture", build);
  model.on("change:query", update); // the frame follows at once, the shares when Python has answered
  model.on("change:shares", update);
  build();
}

export default { render };
