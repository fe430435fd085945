"use strict";
(() => {
  const panels = JSON.parse(document.getElementById("data").textContent);
  const MARGIN = { left: 68, right: 22, top: 12, bottom: 46 };
  const HEIGHT = 400;

  // --- small tools ---

  function element(name, attributes = {}, parent = null, text = null, space = null) {
    const node = space ? document.createElementNS(space, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  }
  const svg = (name, attributes, parent, text = null) =>
    element(name, attributes, parent, text, "http://www.w3.org/2000/svg");

  function number(x) {
    if (x === null || x === undefined) return "-";
    const size = Math.abs(x);
    if (size >= 1e7) return x.toExponential(2);
    return size >= 1000 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(3)));
  }
  const raised = (n) => String(n).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
  const nearest = (xs, x) => {
    let best = 0;
    xs.forEach((v, i) => { if (Math.abs(v - x) < Math.abs(xs[best] - x)) best = i; });
    return best;
  };

  // --- axes ---

  function linear(low, high, from, to) {
    const raw = (high - low) / 5;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i += 1) ticks.push(i * step);
    return { at: (x) => from + ((x - low) / (high - low)) * (to - from), ticks, label: number,
             back: (p) => low + ((p - from) / (to - from)) * (high - low) };
  }

  function logarithmic(low, high, from, to) {
    const a = Math.log(low), b = Math.log(high), decades = (b - a) / Math.LN10;
    const factors = decades < 1.5 ? [1, 2, 3, 5] : decades < 3.5 ? [1, 3] : [1];
    const skip = Math.max(1, Math.ceil(decades / 8));
    const ticks = [];
    for (let n = Math.floor(Math.log10(low)); n <= Math.log10(high); n += 1) {
      if (n % skip) continue;
      for (const m of factors) {
        const tick = m * 10 ** n;
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
      }
    }
    const label = (x) => {
      const n = Math.floor(Math.log10(x) + 1e-9);
      return n >= 5 || n <= -3 ? `${x / 10 ** n > 1.5 ? `${Math.round(x / 10 ** n)}·` : ""}10${raised(n)}` : number(x);
    };
    return { at: (x) => (x > 0 ? from + ((Math.log(x) - a) / (b - a)) * (to - from) : NaN), ticks, label,
             back: (p) => Math.exp(a + ((p - from) / (to - from)) * (b - a)) };
  }

  // --- one chart ---

  class Chart {
    constructor(root, panel, index) {
      this.panel = panel;
      this.index = index;
      this.hidden = new Set();
      this.state = { scale: "linear", band: "interval", bounds: false, slopes: true, lines: true };
      this.buildControls(root);
      const figure = element("div", { class: "figure" }, root);
      this.plot = element("div", { class: "plot" }, figure);
      this.buildLegend(figure);
      this.svg = svg("svg", { tabindex: 0, role: "application", "aria-label":
        `Regret on ${panel.problem}. Left and right arrow keys read the values.` }, this.plot);
      this.tip = element("div", { class: "tip" }, this.plot);
      this.tip.hidden = true;
      this.live = element("div", { class: "sr", "aria-live": "polite" }, this.plot);
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.plot);
      this.draw();
    }

    buildControls(root) {
      const bar = element("div", { class: "controls" }, root);
      const scales = element("fieldset", {}, bar);
      element("legend", {}, scales, "axes");
      for (const [value, text] of [["linear", "linear"], ["log", "log-log"]]) {
        const label = element("label", { class: "choice" }, scales);
        const input = element("input", { type: "radio", name: `scale${this.index}`, value }, label);
        input.checked = value === this.state.scale;
        input.addEventListener("change", () => this.set({ scale: value }));
        label.append(text);
      }
      const bands = element("label", {}, bar, "band");
      const select = element("select", {}, bands);
      for (const [value, text] of [["interval", "95% interval of the mean"], ["spread", "10% to 90% of runs"], ["none", "none"]]) {
        element("option", { value }, select, text);
      }
      select.addEventListener("change", () => this.set({ band: select.value }));
      const flags = [["slopes", "fitted and declared slopes (log-log)", this.panel.series.some((s) => s.slope || s.exponent !== null)],
                     ["bounds", "theorem's bound", this.panel.series.some((s) => s.bound)],
                     ["lines", "lower bounds", this.panel.lines.length > 0]];
      for (const [key, text, available] of flags) {
        if (!available) continue;
        const label = element("label", {}, bar);
        const input = element("input", { type: "checkbox", "data-flag": key }, label);
        input.checked = this.state[key];
        input.addEventListener("change", () => this.set({ [key]: input.checked }));
        label.append(text);
      }
    }

    buildLegend(figure) {
      const list = element("ul", { class: "legend", "aria-label": "Algorithms" }, figure);
      this.buttons = this.panel.series.map((s, i) => {
        const button = element("button", { type: "button", "aria-pressed": "true",
          title: "click: show or hide; shift-click: show only this" }, element("li", {}, list));
        element("span", { class: "swatch", style: `border-color:var(--c${s.colour});border-top-style:${s.dash ? "dashed" : "solid"}` }, button);
        element("span", {}, button, s.name);
        const notes = [s.slope ? `slope ${s.slope[0].toFixed(2)} [${s.slope[1].toFixed(2)}, ${s.slope[2].toFixed(2)}]` : "",
                       s.exponent === null ? "" : `declared ${number(s.exponent)}`].filter(Boolean).join(" · ");
        if (notes) element("small", {}, button, notes);
        button.addEventListener("click", (event) => this.toggle(i, event.shiftKey));
        return button;
      });
    }

    set(change) {
      Object.assign(this.state, change);
      this.draw();
    }

    toggle(i, only) {
      const all = this.panel.series.map((_, j) => j);
      if (only) {
        const alone = !this.hidden.has(i) && this.hidden.size === all.length - 1;
        this.hidden = new Set(alone ? [] : all.filter((j) => j !== i));
      } else if (!this.hidden.delete(i)) {
        this.hidden.add(i);
      }
      this.buttons.forEach((b, j) => b.setAttribute("aria-pressed", String(!this.hidden.has(j))));
      this.draw();
    }

    visible() {
      return this.panel.series.filter((_, i) => !this.hidden.has(i));
    }

    band(s) {
      return { interval: [s.low, s.high], spread: [s.q10, s.q90], none: null }[this.state.band];
    }

    domain(shown) {
      const log = this.state.scale === "log";
      const values = shown.flatMap((s) => [...s.mean, ...(this.band(s) ? this.band(s)[1] : []),
        ...(this.state.bounds && s.bound ? s.bound.y : [])]).filter((y) => !log || y > 0);
      let high = values.reduce((a, b) => Math.max(a, b), -Infinity);
      if (!Number.isFinite(high)) return log ? [0.1, 1] : [0, 1];
      if (!log) {
        const low = shown.flatMap((s) => [...s.mean, ...(this.band(s) ? this.band(s)[0] : [])]).reduce((a, b) => Math.min(a, b), 0);
        return [low, high > low ? high + 0.04 * (high - low) : low + 1];
      }
      const means = shown.flatMap((s) => s.mean).filter((y) => y > 0);
      const most = means.reduce((a, b) => Math.max(a, b), 0) || high;
      const least = Math.max(means.reduce((a, b) => Math.min(a, b), most), most * 1e-5);
      return [least / 1.6, high * 1.5];
    }

    draw() {
      const width = Math.max(260, this.plot.clientWidth), log = this.state.scale === "log";
      const shown = this.visible(), [low, high] = this.domain(shown);
      const K = Math.max(...this.panel.series.map((s) => s.k[s.k.length - 1]));
      const axis = log ? logarithmic : linear;
      const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];
      this.x = axis(log ? 1 : 0, Math.max(K, 2), left, right);
      this.y = axis(low, high, bottom, top);
      this.svg.replaceChildren();
      this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      this.svg.dataset.scale = this.state.scale;
      this.drawAxes(left, right, top, bottom);
      const clip = `clip${this.index}`;
      svg("rect", { x: left, y: top - 4, width: right - left + 4, height: bottom - top + 4 }, svg("clipPath", { id: clip }, this.svg));
      const body = svg("g", { "clip-path": `url(#${clip})` }, this.svg);
      for (const s of shown) this.drawBand(body, s, low);
      if (log && this.state.slopes) this.drawGuides(body, shown, low, K);
      if (this.state.lines) this.drawLines(body);
      for (const s of shown) {
        const stroke = `stroke:var(--c${s.colour})`;
        if (this.state.bounds && s.bound) svg("path", { class: "bound", style: stroke, d: this.path(s.bound.k, s.bound.y) }, body);
        svg("path", { class: "curve", "data-name": s.name, style: `${stroke}${s.dash ? `;stroke-dasharray:${s.dash}` : ""}`,
                      d: this.path(s.k, s.mean) }, body);
        if (log && this.state.slopes && s.fit) svg("path", { class: "fit", d: this.path(s.fit.k, s.fit.y) }, body);
      }
      this.marks = svg("g", { class: "marks" }, this.svg);
      this.read(null);
    }

    drawAxes(left, right, top, bottom) {
      const grid = svg("g", { class: "grid" }, this.svg), axes = svg("g", { class: "axis" }, this.svg);
      for (const tick of this.x.ticks) {
        const x = this.x.at(tick);
        svg("line", { x1: x, x2: x, y1: top, y2: bottom }, grid);
        svg("text", { x, y: bottom + 18, "text-anchor": "middle" }, axes, this.x.label(tick));
      }
      for (const tick of this.y.ticks) {
        const y = this.y.at(tick);
        svg("line", { x1: left, x2: right, y1: y, y2: y }, grid);
        svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, axes, this.y.label(tick));
      }
      svg("path", { class: "frame", d: `M${left},${top}V${bottom}H${right}` }, axes);
      svg("text", { class: "name", x: (left + right) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, axes, this.panel.x);
      const middle = (top + bottom) / 2;
      svg("text", { class: "name", x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, axes,
          "cumulative regret (units of reward)");
    }

    path(xs, ys) {
      let d = "", pen = false;
      xs.forEach((k, i) => {
        const x = this.x.at(k), y = this.y.at(ys[i]);
        const drawn = Number.isFinite(x) && Number.isFinite(y);
        if (drawn) d += `${pen ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`;
        pen = drawn;
      });
      return d;
    }

    drawBand(body, s, least) {
      const band = this.band(s);
      if (!band) return;
      const log = this.state.scale === "log";
      const keep = s.k.map((_, i) => i).filter((i) => !log || band[1][i] > 0);
      const point = (i, y) => `${this.x.at(s.k[i]).toFixed(1)},${this.y.at(log ? Math.max(y, least / 10) : y).toFixed(1)}`;
      const outline = [...keep.map((i) => point(i, band[1][i])), ...keep.reverse().map((i) => point(i, band[0][i]))];
      svg("polygon", { class: "band", points: outline.join(" "), style: `fill:var(--c${s.colour})` }, body);
    }

    drawLines(body) {
      for (const line of this.panel.lines) {
        svg("path", { class: "lower", d: this.path(line.k, line.y) }, body);
        const i = Math.floor(line.k.length * 0.6);
        const [x, y] = [this.x.at(line.k[i]), this.y.at(line.y[i])];
        if (Number.isFinite(y)) svg("text", { class: "note", x, y: y - 5, "text-anchor": "end" }, body, line.name);
      }
    }

    drawGuides(body, shown, low, K) {
      const exponents = [...new Set(shown.map((s) => s.exponent).filter((b) => b !== null))].sort((a, b) => b - a);
      exponents.forEach((b, i) => {
        const k = [Math.max(1, K / 30), K];
        const y = k.map((v) => low * 1.5 * (1 + i) * (v / k[0]) ** b);
        svg("path", { class: "guide", d: this.path(k, y) }, body);
        const note = svg("text", { class: "note", x: this.x.at(k[0]) - 6, y: this.y.at(y[0]) + 4, "text-anchor": "end" },
                         body, `declared ${this.panel.x.slice(-1)}`);
        svg("tspan", { dy: -5, "font-size": 9 }, note, number(b));
      });
    }

    // --- read-out ---

    listen() {
      const at = (event) => {
        const box = this.svg.getBoundingClientRect();
        this.read(this.x.back(event.clientX - box.left), event.clientX - box.left);
      };
      this.svg.addEventListener("pointermove", at);
      this.svg.addEventListener("pointerdown", at);
      this.svg.addEventListener("pointerleave", () => this.read(null));
      this.svg.addEventListener("blur", () => this.read(null));
      this.svg.addEventListener("keydown", (event) => this.key(event));
    }

    grid() {
      return this.visible().reduce((best, s) => (s.k.length > best.length ? s.k : best), []);
    }

    key(event) {
      const ks = this.grid();
      if (event.key === "Escape") return this.read(null);
      const jump = event.shiftKey ? 10 : 1;
      const now = this.cursor === null ? ks.length : nearest(ks, this.cursor);
      const next = { ArrowLeft: now - jump, ArrowRight: now + jump, Home: 0, End: ks.length - 1 }[event.key];
      if (next === undefined || !ks.length) return undefined;
      event.preventDefault();
      this.read(ks[Math.min(ks.length - 1, Math.max(0, next))]);
      this.live.textContent = this.tip.innerText;
      return undefined;
    }

    read(position, pixel = null) {
      const ks = this.grid();
      this.marks.replaceChildren();
      this.cursor = null;
      if (position === null || !ks.length) {
        this.tip.hidden = true;
        return;
      }
      // the nearest checkpoint on the screen
      const target = pixel === null ? this.x.at(position) : pixel;
      const k = ks[nearest(ks.map((v) => this.x.at(v)), target)];
      this.cursor = k;
      const x = this.x.at(k);
      svg("line", { class: "cross", x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }, this.marks);
      this.tip.replaceChildren();
      const table = element("table", {}, this.tip);
      element("caption", {}, table, `${this.panel.x} = ${number(k)}`);
      const rows = this.visible().map((s) => [s, nearest(s.k, k)]).sort(([s, i], [t, j]) => t.mean[j] - s.mean[i]);
      for (const [s, i] of rows) {
        const row = element("tr", { "data-name": s.name }, table), band = this.band(s);
        element("span", { class: "swatch", style: `border-color:var(--c${s.colour})` }, element("td", {}, row));
        element("td", {}, row, s.name);
        element("td", { class: "value" }, row, number(s.mean[i]));
        if (band) element("td", {}, row, `[${number(band[0][i])}, ${number(band[1][i])}]`);
        if (this.state.bounds && s.bound) element("td", {}, row, `bound ${number(s.bound.y[nearest(s.bound.k, k)])}`);
        const y = this.y.at(s.mean[i]);
        if (Number.isFinite(y)) svg("circle", { cx: x, cy: y, r: 4, style: `fill:var(--c${s.colour})` }, this.marks);
      }
      this.tip.hidden = false;
      const width = this.tip.offsetWidth, room = this.plot.clientWidth;
      const side = x + 14 + width <= room ? x + 14 : x - 14 - width;
      this.tip.style.left = `${Math.max(0, side)}px`;
    }
  }

  // --- theme ---

  const root = document.documentElement, button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  function paint() {
    root.dataset.theme = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
    button.textContent = `theme: ${theme}`;
    button.setAttribute("aria-label", `Colour theme: ${theme === "auto" ? "automatic" : theme}`);
  }
  button.addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % 3]; paint(); });
  system.addEventListener("change", paint);
  paint();

  document.querySelectorAll(".chart").forEach((node) => {
    const index = Number(node.dataset.panel);
    new Chart(node, panels[index], index);
  });
})();
