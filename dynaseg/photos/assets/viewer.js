'use strict';

/* The viewer: the regions of one image, from coarse to fine, to be selected and saved. */

const DISPLAY_SIZE = 1600; // pixels of the longer side at which small images are drawn
const KEY_STEP = 0.02; // of detail
const HINT = 'Click or tap a region to select it';

/* The scripts that hold data call dynaseg.receive(); loadData() gives what they hand over. */
const dynaseg = {
  receive(data) {
    this.received = data;
  },
};

async function loadData(address) {
  const script = document.createElement('script');
  script.src = address;
  dynaseg.received = null;
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${decodeURIComponent(address)} cannot be loaded`));
    document.head.append(script);
  });
  script.remove();
  if (!dynaseg.received) throw new Error(`${decodeURIComponent(address)} is damaged`);
  return dynaseg.received;
}

/* Get the address within the page at which an image is open. */
function addressOf(link) {
  return `#${encodeURIComponent(link.dataset.name)}`;
}

class Viewer {
  constructor(dialog, links) {
    this.dialog = dialog;
    this.links = links;
    this.frame = dialog.querySelector('.frame');
    this.photo = dialog.querySelector('img');
    this.slider = dialog.querySelector('input');
    this.actions = {
      previous: () => this.move(-1),
      next: () => this.move(1),
      close: () => this.dialog.close(),
      outlines: () => this.fill(false),
      colours: () => this.fill(true),
      adding: () => this.setAdding(!this.isAdding),
      clear: () => this.clear(),
      'cut-out': () => this.save(drawCutOut, 'cutout'),
      mask: () => this.save(drawSelectionMask, 'mask'),
    };
    this.listen();
    this.follow();
  }

  listen() {
    for (const link of this.links) {
      link.addEventListener('click', (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        location.hash = addressOf(link);
      });
    }
    window.addEventListener('hashchange', () => this.follow());
    this.dialog.addEventListener('close', () => this.leave());
    this.dialog.addEventListener('keydown', (event) => this.press(event));
    this.dialog.addEventListener('click', (event) => {
      const action = event.target.closest('[data-do]')?.dataset.do;
      if (action) this.actions[action]();
    });
    this.slider.addEventListener('input', () => this.setDetail(this.slider.value / 1000));
    this.frame.addEventListener('pointermove', (event) => {
      if (event.pointerType !== 'touch') this.light(this.regionUnder(event));
    });
    this.frame.addEventListener('pointerleave', () => this.light(null));
    this.frame.addEventListener('click', (event) => {
      this.light(null);
      this.select(this.regionUnder(event), event.shiftKey || this.isAdding);
    });
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      s: this.actions['cut-out'],
      m: this.actions.mask,
    };
    if (event.target !== this.slider) {
      keys.ArrowLeft = () => this.setDetail(this.detail - KEY_STEP);
      keys.ArrowRight = () => this.setDetail(this.detail + KEY_STEP);
      keys.ArrowUp = () => this.lightNext(-1);
      keys.ArrowDown = () => this.lightNext(1);
    }
    if (event.target === this.frame) {
      keys.Enter = keys[' '] = () => this.select(this.lit, event.shiftKey || this.isAdding);
    }
    if (this.hasSelection()) keys.Escape = () => this.clear();
    const action = keys[event.key.length > 1 ? event.key : event.key.toLowerCase()];
    if (!action || !this.tree) return;
    event.preventDefault();
    action();
  }

  /* Show the image that the address names, or none. */
  follow() {
    const link = this.links.find((one) => addressOf(one) === location.hash);
    if (link) this.open(link);
    else this.dialog.close();
  }

  async open(link) {
    this.link = link;
    this.tree = null;
    this.dialog.querySelector('h2').textContent = link.dataset.title;
    this.dialog.classList.add('loading');
    if (!this.dialog.open) this.dialog.showModal();
    this.say('Loading');
    this.enable();
    try {
      const data = await loadData(`viewer/${link.dataset.file}.js`);
      if (this.link !== link) return; // the user has gone on to another image
      this.photo.src = data.photo;
      await this.photo.decode();
      if (this.link === link) this.show(data);
    } catch (error) {
      if (this.link === link) this.say(error.message);
    }
  }

  show(data) {
    const zoom = Math.max(1, Math.floor(DISPLAY_SIZE / Math.max(data.width, data.height)));
    this.data = data;
    this.tree = new RegionTree(data, zoom);
    this.tree.cut(Number(this.link.dataset.regions));
    // Clusters alone have no detail: their parts are the regions.
    this.hasDetail = this.link.dataset.detail !== '';
    this.detail = Number(this.link.dataset.detail);
    this.selected = new Uint8Array(this.tree.numLeaves);
    this.lit = null;
    this.painter = new Painter(this.tree, this.photo, this.dialog.querySelector('canvas'));
    this.frame.style.setProperty('--ratio', data.width / data.height);
    this.dialog.classList.remove('loading');
    this.frame.focus({ preventScroll: true });
    this.say(HINT);
    this.refresh();
  }

  leave() {
    this.link = this.tree = this.data = this.painter = null;
    this.photo.removeAttribute('src');
    if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  }

  /* Go to another image of the page. */
  move(by) {
    const link = this.links[this.links.indexOf(this.link) + by];
    if (link) location.replace(addressOf(link));
  }

  setDetail(detail) {
    if (!this.hasDetail) return;
    this.detail = Math.min(1, Math.max(0, detail));
    this.tree.cut(this.tree.countAt(this.detail));
    this.lit = null;
    this.refresh();
  }

  fill(isFilled) {
    this.isFilled = isFilled;
    this.setPressed('outlines', !isFilled);
    this.setPressed('colours', isFilled);
    this.refresh();
  }

  setAdding(isAdding) {
    this.isAdding = isAdding;
    this.setPressed('adding', isAdding);
  }

  setPressed(action, isPressed) {
    this.dialog.querySelector(`[data-do=${action}]`).setAttribute('aria-pressed', isPressed);
  }

  regionUnder(event) {
    if (!this.tree) return null;
    const box = this.frame.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.tree.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.tree.height);
    const isInside = x >= 0 && y >= 0 && x < this.tree.width && y < this.tree.height;
    return isInside ? this.tree.regionAt(x, y) : null;
  }

  light(region) {
    if (!this.tree || region === this.lit) return;
    this.lit = region;
    this.refresh();
  }

  /* Light the next or previous region, from large to small. */
  lightNext(by) {
    const regions = this.tree.regions();
    const place = regions.indexOf(this.lit);
    const next = place < 0 && by < 0 ? -1 : place + by;
    this.light(regions.at(next % regions.length));
    const number = regions.indexOf(this.lit) + 1;
    this.say(`Region ${number} of ${regions.length}, ${this.share((leaf) => this.isIn(leaf, this.lit))}`);
  }

  isIn(leaf, region) {
    return this.tree.regionOf[leaf] === region;
  }

  /* Select a region in place of what was, or add it; once more takes it out. */
  select(region, isAdded) {
    if (!this.tree || region === null) return;
    const leaves = [...this.selected.keys()].filter((leaf) => this.isIn(leaf, region));
    const wasSelected = leaves.every((leaf) => this.selected[leaf]);
    const wasAlone = wasSelected && this.numSelected() === leaves.length;
    if (!isAdded) this.selected.fill(0);
    const isSelected = isAdded ? !wasSelected : !wasAlone;
    for (const leaf of leaves) this.selected[leaf] = isSelected;
    this.describe();
  }

  clear() {
    this.selected.fill(0);
    this.describe();
  }

  numSelected() {
    return this.tree ? this.selected.reduce((sum, is) => sum + is, 0) : 0;
  }

  hasSelection() {
    return this.numSelected() > 0;
  }

  describe() {
    this.say(this.hasSelection() ? `Selected: ${this.share((leaf) => this.selected[leaf])}` : HINT);
    this.refresh();
  }

  /* Tell the share of the image that some leaves have. */
  share(isCounted) {
    const { areas, leaves } = this.tree;
    const sum = areas.reduce((all, area, leaf) => all + (isCounted(leaf) ? area : 0), 0);
    const percent = (100 * sum) / leaves.length;
    return `${percent < 10 ? percent.toPrecision(2) : Math.round(percent)} % of the image`;
  }

  /* Save the selection at the photograph's own size, or as it is shown where that is too large. */
  async save(draw, kind) {
    if (!this.hasSelection()) return;
    this.say('Saving');
    const { data } = this; // the user may go on, to another selection or image
    const { name } = data;
    const selected = this.selected.slice();
    try {
      const full = await loadData(`viewer_full/${this.link.dataset.file}.js`);
      const canvas = (await draw(full, selected)) ?? (await draw(data, selected));
      await saveCanvas(canvas, `${name}-${kind}.png`);
      this.say(`Saved ${name}-${kind}.png, ${canvas.width} × ${canvas.height}`);
    } catch (error) {
      this.say(error.message);
    }
  }

  say(text) {
    this.dialog.querySelector('[role=status]').textContent = text;
  }

  /* Bring everything in line with the state. */
  refresh() {
    this.enable();
    if (!this.tree) return;
    this.slider.value = Math.round(1000 * this.detail);
    const { count } = this.tree;
    const text = `${count.toLocaleString('en')} region${count === 1 ? '' : 's'}`;
    this.dialog.querySelector('output').textContent = text;
    const detail = this.hasDetail ? this.detail.toFixed(2) : 'of clusters: none';
    this.dialog.querySelector('#viewer-value').textContent = detail;
    this.slider.setAttribute('aria-valuetext', `${detail}, ${text}`);
    this.painter.paint(this.isFilled, this.selected, this.lit);
  }

  /* Enable what there is something to do for. */
  enable() {
    const focused = document.activeElement;
    const place = this.links.indexOf(this.link);
    const enabled = {
      previous: place > 0,
      next: place < this.links.length - 1,
      clear: this.hasSelection(),
      'cut-out': this.hasSelection(),
      mask: this.hasSelection(),
    };
    for (const [action, isEnabled] of Object.entries(enabled)) {
      this.dialog.querySelector(`[data-do=${action}]`).disabled = !isEnabled;
    }
    this.slider.disabled = !this.tree || !this.hasDetail;
    // What is disabled loses the focus, and keys would go to the page behind the dialog.
    if (focused?.disabled) this.frame.focus({ preventScroll: true });
  }
}

new Viewer(document.getElementById('viewer'), [...document.querySelectorAll('a.picture')]);
