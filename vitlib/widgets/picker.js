// Pictures under a grid of tokens, drawn by Python as `html`. The arrow keys move `chosen` from token to token; a click
// and the keys Enter and Space are told to Python, which knows what they mean.
function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "vit-picker";
  box.tabIndex = 0;
  box.setAttribute("role", "slider"); // one value, changed by arrow keys and told in words
  box.setAttribute("aria-label", model.get("label"));
  el.append(box);

  function draw() {
    box.innerHTML = model.get("html");
    box.setAttribute("aria-valuemin", model.get("first"));
    box.setAttribute("aria-valuemax", model.get("rows") * model.get("columns"));
    box.setAttribute("aria-valuenow", model.get("chosen"));
    box.setAttribute("aria-valuetext", model.get("words"));
  }

  function tokenAt(event, picture) {
    const named = event.target.closest("[data-token]");
    if (named) return Number(named.dataset.token);
    const [rows, columns, frame] = [model.get("rows"), model.get("columns"), picture.getBoundingClientRect()];
    const along = (place, count) => Math.min(count - 1, Math.max(0, Math.floor(place * count)));
    const column = along((event.clientX - frame.left) / frame.width, columns);
    return along((event.clientY - frame.top) / frame.height, rows) * columns + column + 1;
  }

  box.addEventListener("click", (event) => {
    const panel = event.target.closest("[data-panel]");
    const picture = event.target.closest(".vit-figure") ?? event.target.closest("[data-token]");
    if (panel && picture) model.send({ panel: Number(panel.dataset.panel), token: tokenAt(event, picture) });
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    const [chosen, first, rows, columns] = ["chosen", "first", "rows", "columns"].map((name) => model.get(name));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const presses = event.key === "Enter" || event.key === " ";
    if (!presses && !(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab moves between cells with the same keys
    if (presses) return model.send({ key: event.key, token: chosen });
    const column = (chosen - 1) % columns;
    const beyond = { ArrowLeft: column === 0, ArrowRight: column === columns - 1, ArrowDown: chosen + columns > rows * columns };
    let next = chosen;
    if (chosen === 0) next = event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : 0;
    else if (!beyond[event.key]) next = Math.max(chosen + steps[event.key], 0); // above the top row lies token 0
    if (next === chosen || next < first) return;
    model.set("chosen", next);
    model.save_changes();
  });
  model.on("change:html", draw);
  draw();
}

export default { render };
