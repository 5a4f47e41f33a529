// One frame of a report in 3D: points coloured by cluster, filters, and details of the cluster that is clicked on.
// Plain script, no modules: the page must open from a file. Frames arrive through POINTSAM.add (frames/*.js).

"use strict";

const POINTSAM = (() => {
  const CENTIMETRE = 0.01;
  const FAINT = [0.26, 0.27, 0.3];
  const OUTCOMES = {
    TP: ["matched", [0.24, 0.8, 0.43]],
    FP: ["false positive", [1.0, 0.36, 0.16]],
    FN: ["missed", [0.92, 0.24, 0.9]],
    "": ["too small to count", [0.55, 0.55, 0.6]],
    none: ["no ground truth", [0.55, 0.65, 0.9]],
  };
  const MASKED = [0.35, 0.6, 0.95];
  const GROWN = [1.0, 0.72, 0.2];
  const ORIGINS = { kept: MASKED, extended: [0.55, 0.94, 0.31], recovered: [0.94, 0.31, 0.9] };
  const frames = new Map();
  const state = {
    frame: null,
    selected: null,
    colour: "cluster",
    hidden: new Set(),
    unlabelled: true,
    boxes: true,
    grown: true,
  };
  let scene, camera, renderer, controls, cloud, lines;

  const element = (id) => document.getElementById(id);

  function decode(text, kind) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new kind(bytes.buffer);
  }

  // ---- frames -----------------------------------------------------------------------------------------------------

  function add(name, data) {
    data.xyz = decode(data.xyz, Int16Array);
    data.cluster = decode(data.cluster, Int16Array);
    data.object = data.object === null ? null : decode(data.object, Int16Array);
    for (const bits of ["grown", "added"]) data[bits] = data[bits] === null ? null : decode(data[bits], Uint8Array);
    frames.set(name, data);
    if (state.wanted === name) show(name);
  }

  function open(name) {
    state.wanted = name;
    for (const item of document.querySelectorAll("#frames li")) item.classList.toggle("on", item.dataset.frame === name);
    for (const item of document.querySelectorAll("#gallery figure")) item.hidden = item.dataset.frame !== name;
    for (const picture of document.querySelectorAll(`#gallery figure[data-frame="${name}"] img`))
      if (!picture.src) picture.src = picture.dataset.src;
    if (frames.has(name)) return show(name);
    const script = document.createElement("script");
    script.src = `frames/${name}.js`;
    document.head.append(script);
  }

  function show(name) {
    const data = frames.get(name);
    Object.assign(state, { frame: name, selected: null });
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(Float32Array.from(data.xyz, (v) => v * CENTIMETRE), 3));
    geometry.setAttribute("color", new THREE.BufferAttribute(new Float32Array(data.xyz.length), 3));
    if (cloud) scene.remove(cloud);
    cloud = new THREE.Points(geometry, new THREE.PointsMaterial({ size: 0.14, vertexColors: true }));
    scene.add(cloud);
    drawBoxes(data);
    paint();
    list();
    tell();
    document.body.dataset.ready = name;
  }

  function drawBoxes(data) {
    if (lines) scene.remove(lines);
    const corners = [];
    const edges = [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]];
    for (const box of data.boxes)
      for (const pair of edges) for (const corner of pair) corners.push(...box.slice(3 * corner, 3 * corner + 3));
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(corners), 3));
    lines = new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({ color: 0xe8e8ec }));
    lines.visible = state.boxes;
    scene.add(lines);
  }

  // ---- colours and filters ------------------------------------------------------------------------------------------

  const outcomeOf = (row) => OUTCOMES[row.outcome ?? "none"];
  const shown = (row) => !state.hidden.has(row.class) && !state.hidden.has(`outcome ${row.outcome ?? "none"}`);

  const isSet = (bits, k) => bits !== null && ((bits[k >> 3] >> (k & 7)) & 1) === 1;

  // A row of the list has the colour of its origin; of its points, only those that tracking added have it.
  function colourOf(row, data, grown = false, added = true) {
    if (state.colour === "growth") return grown ? GROWN : MASKED;
    if (state.colour === "tracking") return added ? ORIGINS[row.origin] : MASKED;
    if (state.colour === "outcome") return outcomeOf(row)[1];
    return (state.colour === "class" ? data.class_colours[row.class] : row.colour).map((v) => v / 255);
  }

  // A missed object has no cluster: in the colours by outcome, its points have the colour of missed objects.
  // Without grown points, clusters are as before growth: what it added counts as unlabelled.
  function paint() {
    const data = frames.get(state.frame);
    const colours = cloud.geometry.getAttribute("color");
    const place = cloud.geometry.getAttribute("position");
    const clusters = new Map(data.clusters.map((row) => [row.id, row]));
    const objects = new Map((data.objects ?? []).map((row) => [row.id, row]));
    for (let k = 0; k < data.cluster.length; k++) {
      const [grown, added] = [isSet(data.grown, k), isSet(data.added, k)];
      const cluster = !grown || state.grown ? clusters.get(data.cluster[k]) : undefined;
      const missed = state.colour === "outcome" && data.object !== null && objects.get(data.object[k]);
      let colour = FAINT;
      let visible = state.unlabelled;
      if (cluster && shown(cluster)) [colour, visible] = [colourOf(cluster, data, grown, added), true];
      else if (missed && missed.outcome === "FN" && shown(missed)) [colour, visible] = [OUTCOMES.FN[1], true];
      if (cluster && cluster.id === state.selected) colour = grown ? GROWN : [1, 1, 1];
      colours.setXYZ(k, ...colour);
      place.setXYZ(k, ...(visible ? [0, 1, 2].map((axis) => data.xyz[3 * k + axis] * CENTIMETRE) : [NaN, NaN, NaN]));
    }
    colours.needsUpdate = place.needsUpdate = true;
    draw();
  }

  function toggle(name) {
    if (!state.hidden.delete(name)) state.hidden.add(name);
    paint();
    list();
  }

  function filters(classes, outcomes) {
    const rows = [...classes.map((name) => [name, name]), ...outcomes.map((o) => [`outcome ${o}`, OUTCOMES[o][0]])];
    element("filters").replaceChildren(
      ...rows.map(([name, text]) => {
        const label = document.createElement("label");
        const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
        box.dataset.filter = name;
        box.addEventListener("change", () => toggle(name));
        label.append(box, text);
        return label;
      }),
    );
  }

  // ---- the list of clusters and the details of one --------------------------------------------------------------------

  function list() {
    const data = frames.get(state.frame);
    element("clusters").replaceChildren(
      ...data.clusters.filter(shown).map((row) => {
        const item = document.createElement("li");
        item.dataset.cluster = row.id;
        item.classList.toggle("on", row.id === state.selected);
        const mark = document.createElement("i");
        mark.style.background = `rgb(${colourOf(row, data).map((v) => Math.round(255 * v)).join()})`;
        const added = row.grown ? ` (${row.grown} grown)` : "";
        item.append(mark, `${row.class} ${row.id}, ${row.points} points${added}, ${row.range_m.toFixed(0)} m`);
        item.addEventListener("click", () => select(row.id));
        return item;
      }),
    );
  }

  function tell() {
    const data = frames.get(state.frame);
    const row = data.clusters.find((one) => one.id === state.selected);
    const lines = row
      ? [
          `${row.class} ${row.id}: ${row.points} points at ${row.range_m.toFixed(1)} m, ${row.size_m.map((v) => v.toFixed(1)).join(" x ")} m`,
          `from ${row.sources.join(", ") || "no mask"}`,
          `predicted IoU ${row.pred_iou.toFixed(2)}, stability ${row.stability.toFixed(2)}, class fraction ${row.class_share.toFixed(2)}`,
          `refinement removed ${row.cut} points, growth added ${row.grown}; ${row.probability === null ? `confidence ${row.confidence.toFixed(2)}` : `probability ${row.probability.toFixed(2)}`}`,
          ...(row.track === undefined ? [] : [row.track < 0 ? "no track" : `track ${row.track}, ${row.origin} by tracking`]),
          ...(row.outcome === undefined ? [] : [`${outcomeOf(row)[0]}; best IoU with a ground-truth object ${row.best_iou.toFixed(2)}`]),
        ]
      : ["Click on a point or a row to see its cameras, masks and scores."];
    element("story").replaceChildren(
      ...lines.map((text) => Object.assign(document.createElement("p"), { textContent: text })),
    );
  }

  function select(id) {
    state.selected = id;
    paint();
    list();
    tell();
  }

  // ---- the window -----------------------------------------------------------------------------------------------------

  function draw() {
    renderer.render(scene, camera);
  }

  function look(from) {
    const place = { above: [0, 0, 75], behind: [-28, 0, 18], side: [0, -40, 16] }[from];
    camera.position.set(...place);
    camera.up.set(...(from === "above" ? [1, 0, 0] : [0, 0, 1]));
    controls.target.set(0, 0, 0);
    controls.update();
    draw();
  }

  function pick(event) {
    const area = renderer.domElement.getBoundingClientRect();
    const at = new THREE.Vector2(
      ((event.clientX - area.left) / area.width) * 2 - 1,
      1 - ((event.clientY - area.top) / area.height) * 2,
    );
    const ray = new THREE.Raycaster();
    ray.params.Points.threshold = 0.25;
    ray.setFromCamera(at, camera);
    const data = frames.get(state.frame);
    const hits = ray.intersectObject(cloud).filter((hit) => data.cluster[hit.index] >= 0);
    hits.sort((a, b) => a.distanceToRay - b.distanceToRay);
    select(hits.length ? data.cluster[hits[0].index] : null);
  }

  // Where on the page the first point of a cluster is.
  function pixelOf(id) {
    const data = frames.get(state.frame);
    const k = data.cluster.indexOf(id);
    const at = new THREE.Vector3(...[0, 1, 2].map((axis) => data.xyz[3 * k + axis] * CENTIMETRE)).project(camera);
    const area = renderer.domElement.getBoundingClientRect();
    return [area.left + ((at.x + 1) / 2) * area.width, area.top + ((1 - at.y) / 2) * area.height];
  }

  function resize() {
    const area = element("view");
    renderer.setSize(area.clientWidth, area.clientHeight);
    camera.aspect = area.clientWidth / area.clientHeight;
    camera.updateProjectionMatrix();
    draw();
  }

  function start(classes, outcomes, first) {
    scene = new THREE.Scene();
    camera = new THREE.PerspectiveCamera(55, 1, 0.1, 500);
    renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
    renderer.setClearColor(0x121317);
    element("view").append(renderer.domElement);
    controls = new THREE.OrbitControls(camera, renderer.domElement);
    controls.addEventListener("change", draw);
    let down = null;
    renderer.domElement.addEventListener("pointerdown", (event) => (down = [event.clientX, event.clientY]));
    renderer.domElement.addEventListener("click", (event) => {
      if (Math.hypot(event.clientX - down[0], event.clientY - down[1]) < 4) pick(event);
    });
    for (const item of document.querySelectorAll("#frames li"))
      item.addEventListener("click", () => open(item.dataset.frame));
    for (const button of document.querySelectorAll("[data-look]"))
      button.addEventListener("click", () => look(button.dataset.look));
    element("colour").addEventListener("change", (event) => {
      state.colour = event.target.value;
      paint();
      list();
    });
    element("unlabelled").addEventListener("change", (event) => {
      state.unlabelled = event.target.checked;
      paint();
    });
    element("grown").addEventListener("change", (event) => {
      state.grown = event.target.checked;
      paint();
    });
    element("boxes").addEventListener("change", (event) => {
      state.boxes = lines.visible = event.target.checked;
      draw();
    });
    filters(classes, outcomes);
    window.addEventListener("resize", resize);
    resize();
    look("behind");
    open(first);
  }

  return { add, start, state, select, pixelOf };
})();
