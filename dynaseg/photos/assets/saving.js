'use strict';

/* What is saved of a selection: a cut-out and a mask, at the photograph's own size. */

/* Make a canvas, or null where the browser does not make one that large. */
function makeCanvas(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (!context) return null;
  context.fillRect(width - 1, height - 1, 1, 1);
  const works = context.getImageData(width - 1, height - 1, 1, 1).data[3] === 255;
  context.clearRect(0, 0, width, height);
  return works ? canvas : null;
}

/* Draw the selected pixels in one colour and the others in another, as 0xAABBGGRR.

   `image` has a width, a height and leaves as runs; `selected` tells which leaves are. Returns null
   where the browser makes no canvas that large. */
function drawMask(image, selected, inside, outside) {
  const canvas = makeCanvas(image.width, image.height);
  if (!canvas) return null;
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(image.width, image.height);
  const leaves = readLeaves(image);
  const colours = Uint32Array.from(selected, (is) => (is ? inside : outside));
  new Uint32Array(pixels.data.buffer).set(leaves.map((leaf) => colours[leaf]));
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/* Draw the selection white on black, with the arguments of drawMask(). */
function drawSelectionMask(image, selected) {
  return drawMask(image, selected, 0xffffffff, 0xff000000);
}

/* Draw the selection's part of the photograph, transparent elsewhere. */
async function drawCutOut(image, selected) {
  const canvas = drawMask(image, selected, 0xff000000, 0);
  if (!canvas) return null;
  const photo = await loadPhoto(image.photo);
  const context = canvas.getContext('2d');
  context.globalCompositeOperation = 'source-in';
  context.drawImage(photo, 0, 0, image.width, image.height);
  return canvas;
}

/* Load a photograph from a data URI. */
async function loadPhoto(address) {
  const photo = new Image();
  photo.src = address;
  await photo.decode();
  return photo;
}

/* Hand a canvas to the user as a PNG file. */
async function saveCanvas(canvas, name) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
