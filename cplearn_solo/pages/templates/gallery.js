// The page's images by number: names, codes, confidence and classes (null where there are none), neighbours, points.
const images = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`;
const count = (number) => number.toLocaleString("en");
const plain = (text) => text.normalize().toLowerCase(); // some systems write é in names of files as two letters

function thumb(i) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `thumb s${Math.floor(i / images.columns ** 2)}`;
  button.dataset.i = i;
  button.title = button.ariaLabel = images.names[i];
  button.style.setProperty("--x", i % images.columns);
  button.style.setProperty("--y", Math.floor(i / images.columns) % images.columns);
  return button;
}

// ---- one image, with its neighbours

function about(i) {
  const parts = [];
  if (images.classes) parts.push(images.classes[i] === null ? "no label" : `class ${images.classes[i]}`);
  if (images.codes) parts.push(`code ${images.codes[i]}, ${percent(images.confidence[i])} sure`);
  return parts.join("; ");
}

function show(i) {
  byId("image-thumb").replaceChildren(thumb(i));
  byId("image-name").textContent = images.names[i];
  byId("image-about").textContent = about(i);
  const card = images.codes && byId(`code-${images.codes[i]}`);
  byId("image-code").hidden = !card;
  if (card) {
    byId("image-code").textContent = `Code ${images.codes[i]}`;
    byId("image-code").href = `#${card.id}`;
  }
  byId("image-map").hidden = !images.points;
  byId("image-map").onclick = () => plane.goTo(i);
  byId("image-near").replaceChildren(...images.neighbours[i].map(thumb));
  if (!byId("image").open) byId("image").showModal();
  byId("image").scrollTop = 0;
}

document.addEventListener("click", (event) => {
  const clicked = event.target.closest(".thumb");
  if (clicked) show(Number(clicked.dataset.i));
  if (event.target === byId("image") || event.target.closest("#image a")) byId("image").close(); // or outside of it
});

addEventListener("hashchange", () => {
  const target = byId(location.hash.slice(1));
  const folded = target?.closest("details:not([open])");
  if (folded) {
    folded.open = true;
    target.scrollIntoView();
  }
});

document.addEventListener("keydown", (event) => {
  const here = document.activeElement;
  if (event.key === "/" && here !== byId("search")) {
    event.preventDefault();
    byId("search").focus();
  }
  if (here.matches(".strip .thumb")) {
    const next = { ArrowRight: here.nextElementSibling, ArrowLeft: here.previousElementSibling }[event.key];
    if (next) next.focus();
  }
});

// ---- search

const MOST_FOUND = 60;
byId("search").addEventListener("input", () => {
  const text = plain(byId("search").value.trim());
  const found = text ? [...images.names.keys()].filter((i) => plain(images.names[i]).includes(text)) : [];
  const [these, total] = [images.names.length, images.total];
  const where = these < total ? ` on this page, which has some of ${count(total)}` : "";
  byId("found").hidden = !text;
  const first = found.length > MOST_FOUND ? `, the first ${MOST_FOUND}` : "";
  byId("found-count").textContent = `${count(found.length)} of ${count(these)} images${where}${first}`;
  byId("found-images").replaceChildren(...found.slice(0, MOST_FOUND).map(thumb));
});
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") byId("found-images").firstChild?.focus();
});

// ---- the map, if there is one

const plane = images.points && new Plane(byId("plane"), images.points);
