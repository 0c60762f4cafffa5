'use strict';

/* Draws regions over their photograph: outlines or colours, what is selected, what is lit. */

/* Colours, as 0xAABBGGRR. */
const LINE = 0xd0ffffff;
const LINE_DIMMED = 0x58ffffff;
const SHADE = 0x50000000;
const ACCENT = 0xffff9a4a;
const DIMMED = 0xa014110f;
const LIT = 0x48ffffff;
const LIT_DIMMED = 0x5014110f;

class Painter {
  /* `photo` is an image of the size of the tree, or a smaller one, as it is shown. */
  constructor(tree, photo, canvas) {
    this.tree = tree;
    canvas.width = tree.width;
    canvas.height = tree.height;
    this.context = canvas.getContext('2d', { willReadFrequently: true });
    this.pixels = this.context.createImageData(tree.width, tree.height);
    this.colours = this.sumColours(photo);
  }

  /* Sum the colours of each leaf: red, green, blue of leaf 0, of leaf 1 and so on. */
  sumColours(photo) {
    const { width, height, leaves, numLeaves } = this.tree;
    this.context.drawImage(photo, 0, 0, width, height);
    const { data } = this.context.getImageData(0, 0, width, height);
    const sums = new Float64Array(3 * numLeaves);
    for (let pixel = 0; pixel < leaves.length; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        sums[3 * leaves[pixel] + channel] += data[4 * pixel + channel];
      }
    }
    return sums;
  }

  /* Paint; `filled` for the regions' colours, `selected` a flag for each leaf, `lit` a region or null. */
  paint(filled, selected, lit) {
    const { leaves, borders } = this.tree;
    const out = new Uint32Array(this.pixels.data.buffer);
    const fills = this.chooseFills(filled, selected, lit);
    for (let pixel = 0; pixel < out.length; pixel++) out[pixel] = fills[leaves[pixel]];
    this.drawLines(out, borders.subarray(0, this.tree.numBorders()), filled, selected);
    this.drawEdges(out, selected, lit);
    this.context.putImageData(this.pixels, 0, 0);
  }

  /* Choose what is laid over each leaf. */
  chooseFills(filled, selected, lit) {
    const { regionOf, numLeaves } = this.tree;
    const colours = filled ? this.regionColours() : null;
    const dims = selected.includes(1);
    return Uint32Array.from({ length: numLeaves }, (_, leaf) => {
      const isLit = regionOf[leaf] === lit;
      const isDimmed = dims && !selected[leaf];
      if (filled) return shade(colours[regionOf[leaf]], isDimmed ? 0.35 : 1, isLit ? 0.25 : 0);
      if (isDimmed) return isLit ? LIT_DIMMED : DIMMED;
      return isLit ? LIT : 0;
    });
  }

  /* Get the colour of each region, [red, green, blue] by node: that of most of its pixels' labels,
     where labels have colours, or else its mean colour. */
  regionColours() {
    return this.tree.colours ? this.labelColours() : this.meanColours();
  }

  labelColours() {
    const { regionOf, areas, colours } = this.tree;
    const counts = {};
    colours.forEach((colour, leaf) => {
      const count = (counts[regionOf[leaf]] ??= new Map());
      count.set(`${colour}`, (count.get(`${colour}`) ?? 0) + areas[leaf]);
    });
    const largest = (count) => [...count].reduce((one, other) => (other[1] > one[1] ? other : one));
    const found = Object.entries(counts).map(([node, count]) => [node, largest(count)[0]]);
    return Object.fromEntries(found.map(([node, colour]) => [node, colour.split(',').map(Number)]));
  }

  meanColours() {
    const { regionOf, numLeaves, areas } = this.tree;
    const sums = {};
    for (let leaf = 0; leaf < numLeaves; leaf++) {
      const sum = (sums[regionOf[leaf]] ??= [0, 0, 0, 0]);
      for (let channel = 0; channel < 3; channel++) sum[channel] += this.colours[3 * leaf + channel];
      sum[3] += areas[leaf];
    }
    for (const sum of Object.values(sums)) sum.splice(0, 4, ...sum.map((value) => value / sum[3]));
    return sums;
  }

  /* Draw thin lines, each with a shade beside it, so that they show on light and dark. */
  drawLines(out, borders, filled, selected) {
    const { leaves, width, height } = this.tree;
    const dims = selected.includes(1);
    if (!filled && !dims) {
      for (const pixel of borders) {
        if ((pixel + 1) % width) out[pixel + 1] = SHADE;
        if (pixel < width * (height - 1)) out[pixel + width] = SHADE;
      }
    }
    for (const pixel of borders) out[pixel] = dims && !selected[leaves[pixel]] ? LINE_DIMMED : LINE;
  }

  /* Draw the edges of the selection and of the lit region, twice as wide. */
  drawEdges(out, selected, lit) {
    const { leaves, borders, regionOf, width } = this.tree;
    const inside = selected.map((is, leaf) => is | ((regionOf[leaf] === lit) << 1));
    for (const pixel of borders) {
      for (const other of (pixel + 1) % width ? [pixel + 1, pixel + width] : [pixel + width]) {
        if (other < leaves.length && inside[leaves[pixel]] !== inside[leaves[other]]) {
          out[pixel] = ACCENT;
          out[other] = ACCENT;
        }
      }
    }
  }
}

/* Darken a colour, [red, green, blue], by a factor and lighten it by a share; 0xAABBGGRR. */
function shade(colour, factor, share) {
  const [red, green, blue] = colour.map((value) => factor * value * (1 - share) + 255 * share);
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}
