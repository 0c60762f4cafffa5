'use strict';

/* The regions of an image at every detail: what there is to know of them, without any drawing.

   Nodes 0 to L - 1 are the leaves, the smallest regions. Each of the nodes L to 2 L - 2 joins two
   nodes of lower numbers, in the order in which they join as the detail falls. Of K regions, the
   last K - 1 nodes are split. */

const STEPS = 10000; // of detail

/* Read little-endian numbers from base64. */
function readNumbers(text, ArrayType) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new ArrayType(bytes.buffer);
}

/* Read the leaf of each pixel from runs, each pixel repeated `zoom` times in both directions. */
function readLeaves(data, zoom = 1) {
  const values = readNumbers(data.leaves, Uint32Array);
  const lengths = readNumbers(data.lengths, Uint16Array);
  const { width, height } = data;
  const leaves = new Uint32Array(width * height * zoom * zoom);
  let place = 0;
  values.forEach((value, run) => {
    leaves.fill(value, place, place + lengths[run]);
    place += lengths[run];
  });
  return zoom === 1 ? leaves : enlarge(leaves, width, height, zoom);
}

function enlarge(leaves, width, height, zoom) {
  const large = new Uint32Array(leaves.length);
  const across = width * zoom;
  for (let y = 0; y < height * zoom; y++) {
    const row = Math.floor(y / zoom) * width;
    for (let x = 0; x < across; x++) large[y * across + x] = leaves[row + Math.floor(x / zoom)];
  }
  return large;
}

class RegionTree {
  constructor(data, zoom) {
    this.width = data.width * zoom;
    this.height = data.height * zoom;
    this.parents = Uint32Array.from(data.parents);
    this.steps = data.steps;
    this.colours = data.colours; // of the leaves' labels, where labels have colours
    this.numLeaves = data.steps.length + 1;
    this.leaves = readLeaves(data, zoom);
    this.areas = new Float64Array(this.numLeaves);
    for (const leaf of this.leaves) this.areas[leaf]++;
    this.regionOf = new Uint32Array(this.parents.length); // node of its region, of each node
    this.findBorders();
    this.cut(1);
  }

  /* Count the regions at a detail, 0 to 1. */
  countAt(detail) {
    const least = Math.round(STEPS * (1 - detail));
    let split = 0;
    while (split < this.steps.length && this.steps[this.steps.length - 1 - split] > least) split++;
    return split + 1;
  }

  /* Cut into a number of regions. */
  cut(count) {
    const { parents, regionOf } = this;
    this.count = Math.min(count, this.numLeaves);
    this.firstSplit = 2 * this.numLeaves - this.count;
    const root = parents.length - 1;
    regionOf[root] = root;
    for (let node = root - 1; node >= 0; node--) {
      const parent = parents[node];
      regionOf[node] = parent >= this.firstSplit ? node : regionOf[parent];
    }
  }

  /* Get the nodes of all regions, the largest first. */
  regions() {
    const areas = new Map();
    for (let leaf = 0; leaf < this.numLeaves; leaf++) {
      const region = this.regionOf[leaf];
      areas.set(region, (areas.get(region) ?? 0) + this.areas[leaf]);
    }
    return [...areas.keys()].sort((one, other) => areas.get(other) - areas.get(one));
  }

  /* Get the region of a pixel. */
  regionAt(x, y) {
    return this.regionOf[this.leaves[y * this.width + x]];
  }

  /* Find the pixels of leaves' borders: those that differ from their right or lower neighbour,
     in the order in which they vanish, the last first, and the node with which each vanishes. */
  findBorders() {
    const { leaves, width, height } = this;
    const pixels = [];
    const nodes = new Uint32Array(leaves.length);
    for (let y = 0, pixel = 0; y < height; y++) {
      for (let x = 0; x < width; x++, pixel++) {
        const leaf = leaves[pixel];
        let node = 0;
        if (x + 1 < width && leaves[pixel + 1] !== leaf) node = this.join(leaf, leaves[pixel + 1]);
        if (y + 1 < height && leaves[pixel + width] !== leaf) {
          node = Math.max(node, this.join(leaf, leaves[pixel + width]));
        }
        if (node) pixels.push(pixel);
        nodes[pixel] = node;
      }
    }
    this.borders = Uint32Array.from(pixels).sort((one, other) => nodes[other] - nodes[one]);
    this.borderNodes = this.borders.map((pixel) => nodes[pixel]);
  }

  /* Find the node that joins two leaves. */
  join(one, other) {
    this.known ??= new Map();
    const key = Math.min(one, other) * this.numLeaves + Math.max(one, other);
    let node = this.known.get(key);
    if (node === undefined) {
      while (one !== other) {
        if (one < other) one = this.parents[one];
        else other = this.parents[other];
      }
      node = one;
      this.known.set(key, node);
    }
    return node;
  }

  /* Count the border pixels that are on view. */
  numBorders() {
    let low = 0;
    let high = this.borders.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.borderNodes[middle] >= this.firstSplit) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
