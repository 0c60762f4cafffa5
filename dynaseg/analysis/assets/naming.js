'use strict';

/* The page for naming clusters: pictures of one at a time, and names for it. */

const SVG = 'http://www.w3.org/2000/svg';
const DIGITS = '1234567890';
const UNNAMED = 'unnamed';
const LONGEST = 100; // characters of a name

const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/* Draw the crop of a picture that shows an example. */
function drawCrop(example) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', (example?.box ?? [0, 0, 1, 1]).join(' '));
  svg.setAttribute('preserveAspectRatio', 'xMidYMid slice');
  svg.setAttribute('aria-hidden', 'true');
  if (example) {
    const image = document.createElementNS(SVG, 'image');
    image.setAttribute('href', example.picture);
    image.setAttribute('width', example.size[0]);
    image.setAttribute('height', example.size[1]);
    svg.append(image);
  }
  return svg;
}

function drawSwatch(colour) {
  return element('span', { class: 'swatch', style: `background: rgb(${colour.join(', ')})` });
}

function percent(share) {
  const value = 100 * share;
  if (value && value < 0.1) return '<0.1 %';
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/* Tell whether a value is a name, as `names.json` has them. */
function isName(value) {
  if (typeof value !== 'string') return false;
  const text = value.trim();
  const isLine = !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text);
  return isLine && /[^\p{Z}\p{C}]/u.test(text) && [...text].length <= LONGEST;
}

/* Read the content of a file of names; throws what is wrong with it. */
function readNames(text, clusters, checkpoint) {
  const content = JSON.parse(text);
  const names = content?.names;
  if (typeof names !== 'object' || names === null || Array.isArray(names)) {
    throw new Error('it has no names of clusters');
  }
  const sha256 = content.checkpoint_sha256;
  if (sha256 && sha256 !== checkpoint) throw new Error('its names are of another checkpoint');
  for (const [key, name] of Object.entries(names)) {
    if (!/^(0|[1-9]\d*)$/.test(key) || Number(key) >= clusters) {
      throw new Error(`${key} is none of the ${clusters} clusters`);
    }
    if (!isName(name)) {
      throw new Error(`the name of cluster ${key} is no line of 1 to ${LONGEST} characters`);
    }
  }
  return { names, madeFrom: String(content.made_from ?? '') };
}

/* The given names, without any drawing. */
class Names {
  constructor(data) {
    this.data = data;
    this.key = `dynaseg-names-${data.id}`;
    this.given = new Map(); // by cluster
    this.known = [...data.suggestions]; // in order of appearance
    this.isKept = true; // by the browser
    this.load(this.stored() ?? data);
  }

  stored() {
    try {
      return JSON.parse(localStorage.getItem(this.key));
    } catch {
      return null; // the browser stores nothing for local files
    }
  }

  /* Replace the names of all clusters, by number, and what they were made from. */
  load({ names, madeFrom }) {
    this.given.clear();
    const made = this.data.madeFrom;
    const isOther = madeFrom && !madeFrom.endsWith(made);
    this.madeFrom = isOther ? `${madeFrom}; then ${made}` : madeFrom || made;
    for (const [cluster, name] of Object.entries(names)) this.give(Number(cluster), name);
    this.store();
  }

  /* Name a cluster, or remove its name. */
  set(cluster, name) {
    this.give(cluster, name);
    this.store();
  }

  give(cluster, name) {
    const text = (name ?? '').trim();
    if (isName(text) && text !== UNNAMED) {
      this.given.set(cluster, text);
      if (!this.known.includes(text)) this.known.push(text);
    } else {
      this.given.delete(cluster);
    }
  }

  /* Let the browser keep the names until the page is opened again. */
  store() {
    const content = { names: Object.fromEntries(this.given), madeFrom: this.madeFrom };
    try {
      localStorage.setItem(this.key, JSON.stringify(content));
    } catch {
      this.isKept = false;
    }
  }

  count(name) {
    return [...this.given.values()].filter((one) => one === name).length;
  }

  /* Find the known names that are a text, then those that start with it or contain it. */
  match(text) {
    const wanted = text.trim().toLowerCase();
    const equals = this.known.filter((name) => name.toLowerCase() === wanted);
    const begins = this.known.filter((name) => name.toLowerCase().startsWith(wanted));
    const holds = this.known.filter((name) => name.toLowerCase().includes(wanted));
    return [...new Set([...equals, ...begins, ...holds])];
  }

  toJSON() {
    const clusters = [...this.given.keys()].sort((one, other) => one - other);
    const names = Object.fromEntries(clusters.map((one) => [one, this.given.get(one)]));
    const content = { names, made_from: this.madeFrom };
    if (this.data.checkpoint) content.checkpoint_sha256 = this.data.checkpoint;
    return content;
  }
}

class Page {
  constructor(data) {
    this.clusters = data.clusters;
    this.images = data.images;
    this.names = new Names(data);
    this.order = data.clusters.map((_, cluster) => cluster);
    this.order.sort((one, other) => this.clusters[other].share - this.clusters[one].share);
    this.input = $('name');
    this.actions = {
      previous: () => this.move(-1),
      next: () => this.move(1),
      set: () => this.set(),
      clear: () => this.give(''),
      close: () => $('picture').close(),
    };
    this.makeList();
    this.listen();
    this.show(this.order.find((one) => !this.names.given.has(one)) ?? this.order[0]);
  }

  listen() {
    document.addEventListener('keydown', (event) => this.press(event));
    document.addEventListener('click', (event) => {
      const action = event.target.closest('[data-do]')?.dataset.do;
      if (action) this.actions[action]();
    });
    $('form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.accept();
    });
    this.input.addEventListener('input', () => this.suggest());
    $('save').addEventListener('click', () => this.save());
    $('open').addEventListener('change', (event) => this.open(event.target));
    $('picture').addEventListener('click', () => $('picture').close());
    addEventListener('storage', ({ key }) => { // from another tab
      const stored = key === this.names.key ? this.names.stored() : null;
      if (!stored) return;
      this.names.load(stored);
      this.refresh();
    });
    if (!this.names.isKept) {
      addEventListener('beforeunload', (event) => {
        if (this.isChanged) event.preventDefault();
      });
    }
  }

  press(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 's') {
      event.preventDefault();
      this.save();
      return;
    }
    if ($('picture').open) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isEmpty = !this.input.value;
    const keys = {
      PageUp: this.actions.previous,
      PageDown: this.actions.next,
      ArrowUp: () => this.mark(-1),
      ArrowDown: () => this.mark(1),
      Escape: () => this.reset(),
    };
    if (isEmpty) {
      keys.ArrowLeft = this.actions.previous;
      keys.ArrowRight = this.actions.next;
    }
    if (isEmpty && !event.repeat) { // a key that is held names no more than one cluster
      keys.Delete = this.actions.clear;
      const place = DIGITS.indexOf(event.key);
      const name = event.key.length === 1 && place >= 0 ? this.offered[place] : undefined;
      if (name !== undefined) keys[event.key] = () => this.give(name);
    }
    const action = keys[event.key];
    if (action) {
      event.preventDefault();
      action();
    } else if (event.key.length === 1 && event.key !== ' ') {
      this.input.focus(); // so that it gets what is typed
    }
  }

  makeList() {
    this.items = new Map();
    for (const cluster of this.order) {
      const { colour, share, surest } = this.clusters[cluster];
      const label = element('span', { class: 'label' });
      const shown = element('span', { class: 'share' }, percent(share));
      const button = element('button', { type: 'button' });
      button.append(drawCrop(surest[0]), drawSwatch(colour), label, shown);
      button.addEventListener('click', () => this.show(cluster));
      $('list').append(element('li', {}, button));
      this.items.set(cluster, button);
    }
  }

  /* Get the name of a cluster, or its number if it has none. */
  call(cluster) {
    return this.names.given.get(cluster) ?? `cluster ${cluster}`;
  }

  /* Show a cluster. */
  show(cluster) {
    this.current = cluster;
    const { share, images, surest, unsure, borders, resembles } = this.clusters[cluster];
    $('facts').textContent = images
      ? `${percent(share)} of the pixels · in ${images} of ${this.images} images`
      : `in none of the ${this.images} images`;
    this.fillExamples('surest', surest);
    this.fillExamples('unsure', unsure);
    this.fillNeighbours('borders', borders);
    this.fillNeighbours('resembles', resembles);
    this.reset();
    this.refresh();
    this.items.get(cluster).scrollIntoView({ block: 'nearest', inline: 'center' });
    if ($('cluster').getBoundingClientRect().top < 0) $('cluster').scrollIntoView();
    if (!matchMedia('(pointer: coarse)').matches) this.input.focus({ preventScroll: true });
  }

  fillExamples(id, examples) {
    const buttons = examples.map((example) => {
      const button = element('button', { type: 'button', 'aria-label': 'Show the whole image' });
      button.append(drawCrop(example));
      button.addEventListener('click', () => {
        $('picture').querySelector('img').src = example.picture;
        $('picture').showModal();
      });
      return button;
    });
    $(id).replaceChildren(...buttons);
  }

  fillNeighbours(id, neighbours) {
    const items = neighbours.map(([cluster, share]) => {
      const button = element('button', { type: 'button' });
      const shown = element('span', { class: 'share' }, percent(share));
      button.append(drawCrop(this.clusters[cluster].surest[0]), this.call(cluster), shown);
      button.addEventListener('click', () => this.show(cluster));
      return element('li', {}, button);
    });
    $(id).replaceChildren(...(items.length ? items : ['none in particular']));
  }

  /* Clear what is typed. */
  reset() {
    this.input.value = '';
    this.suggest();
  }

  /* Offer the names that match what is typed, and mark the first if it starts with it. */
  suggest() {
    const text = this.input.value.trim();
    this.offered = text ? this.names.match(text) : this.names.known;
    const isBegun = this.offered[0]?.toLowerCase().startsWith(text.toLowerCase());
    this.marked = text && isBegun ? 0 : -1;
    this.drawNames();
  }

  mark(by) {
    const number = this.offered.length + 1; // the last one is none
    this.marked = ((this.marked + 1 + by + number) % number) - 1;
    this.drawNames();
  }

  drawNames() {
    const own = this.names.given.get(this.current);
    const items = this.offered.map((name, place) => {
      const item = element('li', { role: 'option', id: `name-${place}` });
      item.setAttribute('aria-selected', name === own);
      if (place < DIGITS.length && !this.input.value) item.append(element('kbd', {}, DIGITS[place]));
      item.append(name);
      const count = this.names.count(name);
      if (count) item.append(element('span', { class: 'count' }, `${count}`));
      if (place === this.marked) item.classList.add('active');
      item.addEventListener('click', () => this.give(name));
      return item;
    });
    $('names').replaceChildren(...items);
    if (this.marked < 0) this.input.removeAttribute('aria-activedescendant');
    else this.input.setAttribute('aria-activedescendant', `name-${this.marked}`);
  }

  /* Set the typed name as it is, unless it is a known one in other letters' case. */
  set() {
    const text = this.input.value.trim();
    const known = this.offered.find((name) => name.toLowerCase() === text.toLowerCase());
    if (text) this.give(known ?? text);
    else this.accept();
  }

  /* Set the marked or typed name; without one, go on to the next cluster. */
  accept() {
    const name = this.marked < 0 ? this.input.value.trim() : this.offered[this.marked];
    if (name) this.give(name);
    else this.goOn();
  }

  /* Name the cluster and go on, or remove its name and stay. */
  give(name) {
    if (name && !isName(name)) {
      this.say(`a name is a line of 1 to ${LONGEST} characters that can be seen`);
      return;
    }
    this.names.set(this.current, name);
    this.isChanged = true;
    if (name) this.goOn();
    else this.show(this.current);
  }

  /* Show the next cluster without a name, or the same again if there is none. */
  goOn() {
    const place = this.order.indexOf(this.current);
    const following = [...this.order.slice(place + 1), ...this.order.slice(0, place)];
    const isOpen = (one) => !this.names.given.has(one) && this.clusters[one].images;
    this.show(following.find(isOpen) ?? this.current);
  }

  move(by) {
    const number = this.order.length;
    this.show(this.order[(this.order.indexOf(this.current) + by + number) % number]);
  }

  /* Update everything to match the names. */
  refresh() {
    const { given } = this.names;
    for (const [cluster, button] of this.items) {
      button.querySelector('.label').textContent = this.call(cluster);
      button.classList.toggle('unnamed', !given.has(cluster));
      button.setAttribute('aria-current', cluster === this.current);
    }
    const name = given.has(this.current) ? `: ${this.call(this.current)}` : '';
    const title = `Cluster ${this.current}${name}`;
    $('heading').replaceChildren(drawSwatch(this.clusters[this.current].colour), title);
    const shares = [...given.keys()].map((cluster) => this.clusters[cluster]?.share ?? 0);
    const share = shares.reduce((sum, one) => sum + one, 0);
    const kept = this.names.isKept ? '' : ' · save before you leave: this browser keeps nothing';
    this.say(`${given.size} of ${this.clusters.length} named · ${percent(share)} of the pixels${kept}`);
  }

  say(text) {
    $('progress').textContent = text;
  }

  save() {
    if (this.input.value.trim()) this.accept();
    if (this.input.value.trim()) return; // it is no name
    const number = this.names.given.size;
    if (!number) {
      this.say('no cluster has a name yet');
      return;
    }
    const content = `${JSON.stringify(this.names, null, 1)}\n`;
    const address = URL.createObjectURL(new Blob([content], { type: 'application/json' }));
    element('a', { href: address, download: 'names.json' }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    this.isChanged = false;
    this.say(`saved the names of ${number} of ${this.clusters.length} clusters as names.json`);
  }

  async open(input) {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    try {
      const { data, given } = this.names;
      const read = readNames(await file.text(), this.clusters.length, data.checkpoint);
      if (given.size && !confirm(`Replace the names of ${given.size} clusters by those of ${file.name}?`)) return;
      this.names.load(read);
      this.isChanged = true;
      this.show(this.current);
    } catch (error) {
      this.say(`${file.name}: ${error.message}`);
    }
  }
}

new Page(JSON.parse($('data').textContent));
