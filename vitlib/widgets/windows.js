// Three pictures under one grid of tokens. A token is clear where the chosen one hears it, dark where it does not, and
// orange with a stroke through it where only the roll put it into the window. A click or the arrow keys choose a token.
const SVG = "http://www.w3.org/2000/svg";
const PAINT = [["black", 0.72], ["black", 0], ["#E69F00", 0.8]]; // elsewhere, attends, apart

function draw(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

function panel(model, parent) {
  const [rows, columns] = [model.get("rows"), model.get("columns")];
  const figure = document.createElement("figure");
  figure.style.cssText = "margin: 0; flex: 1 1 150px; max-width: 300px; min-width: 0";
  const title = document.createElement("figcaption");
  title.style.cssText = "line-height: 1.35; min-height: 2.7em; color: var(--jp-ui-font-color1, inherit)";
  figure.append(title);
  parent.append(figure);
  const view = `-0.1 -0.1 ${columns + 0.2} ${rows + 0.2}`;
  const svg = draw("svg", { viewBox: view, "aria-hidden": "true", style: "width: 100%; display: block" }, figure);
  draw("image", { href: model.get("picture"), width: columns, height: rows, preserveAspectRatio: "none" }, svg);
  const cells = [];
  for (let token = 0; token < rows * columns; token++) {
    const [y, x] = [Math.floor(token / columns), token % columns];
    const cell = draw("rect", { x, y, width: 1, height: 1, stroke: "white", "stroke-opacity": 0.2, "stroke-width": 0.02 }, svg);
    cell.dataset.token = token + 1;
    cell.style.cursor = "pointer";
    cells.push(cell);
  }
  const marks = draw("path", { stroke: "black", "stroke-width": 0.1, "pointer-events": "none" }, svg);
  const borders = draw("path", { stroke: "white", "stroke-width": columns / 130, "pointer-events": "none" }, svg);
  const frames = [["black", 0.24], ["#F0E442", 0.14]].map(([stroke, width]) =>
    draw("rect", { width: 1, height: 1, fill: "none", stroke, "stroke-width": width, "pointer-events": "none" }, svg));
  return { title, cells, marks, borders, frames };
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "vit-windows";
  box.tabIndex = 0;
  box.setAttribute("role", "slider"); // one value, changed by arrow keys and told in words
  box.setAttribute("aria-label", "Chosen token");
  box.style.cssText = "display: flex; flex-wrap: wrap; gap: 14px; padding: 4px";
  el.append(box);
  let [panels, built] = [[], ""];

  function update() {
    const [rows, columns, chosen, shown] = ["rows", "columns", "chosen", "panels"].map((name) => model.get(name));
    if (shown.length === 0 || shown[0].states.length !== rows * columns) return; // the other half is on its way
    const wanted = `${rows} ${columns} ${model.get("picture")}`;
    if (wanted !== built) {
      box.replaceChildren();
      panels = shown.map(() => panel(model, box));
      built = wanted;
    }
    shown.forEach(({ title, states, borders }, which) => {
      const { cells, frames, ...one } = panels[which];
      one.title.textContent = title;
      cells.forEach((cell, token) => {
        const [fill, opacity] = PAINT[states[token]];
        cell.setAttribute("fill", fill);
        cell.setAttribute("fill-opacity", opacity);
      });
      const crossed = [...states.keys()].filter((token) => states[token] === 2);
      one.marks.setAttribute("d", crossed.map((token) => `M${token % columns} ${Math.floor(token / columns) + 1}l1 -1`).join(""));
      one.borders.setAttribute("d", borders.map(([x1, y1, x2, y2]) => `M${x1} ${y1}L${x2} ${y2}`).join(""));
      for (const frame of frames) {
        frame.setAttribute("x", (chosen - 1) % columns);
        frame.setAttribute("y", Math.floor((chosen - 1) / columns));
      }
    });
    box.setAttribute("aria-valuemin", 1);
    box.setAttribute("aria-valuemax", rows * columns);
    box.setAttribute("aria-valuenow", chosen);
    box.setAttribute("aria-valuetext", model.get("words"));
  }

  function choose(token) {
    model.set("chosen", token);
    model.save_changes();
  }

  box.addEventListener("click", (event) => {
    const token = event.target.dataset?.token;
    if (token !== undefined) choose(Number(token));
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    const [chosen, rows, columns] = [model.get("chosen"), model.get("rows"), model.get("columns")];
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab moves between cells with the same keys
    const [row, column] = [Math.floor((chosen - 1) / columns), (chosen - 1) % columns];
    const beyond = { ArrowLeft: column === 0, ArrowRight: column === columns - 1, ArrowUp: row === 0, ArrowDown: row === rows - 1 };
    if (!beyond[event.key]) choose(chosen + steps[event.key]);
  });
  for (const name of ["picture", "rows", "columns", "chosen", "panels"]) model.on(`change:${name}`, update);
  update();
}

export default { render };
